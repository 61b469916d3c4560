//! The bare loop: one task that owns its TCP stream and does what no client can leave out, and nothing more. It writes
//! each submit_sm field by field, keeps the window, matches every response with its request, and reads each deliver_sm
//! field by field before it answers. No timers, no callers to wake, no state but the window.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep_until};

use crate::measure::Counted;
use crate::reference;

pub(crate) struct Bare {
    pub(crate) stream: Counted<TcpStream>,
    input: BytesMut,
    output: BytesMut,
    sequence: u32,
    /// Which sequence numbers wait for their response, at their remainder.
    waiting: [u32; 1024],
}

impl Bare {
    pub(crate) async fn bound(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let mut bare = Self {
            stream: Counted::new(stream),
            input: BytesMut::with_capacity(16 * 1024),
            output: BytesMut::with_capacity(64 * 1024),
            sequence: 0,
            waiting: [0; 1024],
        };
        let sequence = bare.next();
        reference::put_bind(&mut bare.output, sequence);
        bare.stream.write_all_buf(&mut bare.output).await?;
        while bare.take().is_none() {
            bare.read().await?;
        }
        Ok(bare)
    }

    /// Sends `count` submit_sm and reads their responses.
    pub(crate) async fn submit(&mut self, window: u32, count: u32) -> io::Result<()> {
        let (mut sent, mut answered) = (0, 0);
        while answered < count {
            while sent < count && sent - answered < window {
                let sequence = self.next();
                reference::put_submit_sm(&mut self.output, sequence, &reference::SUBMIT);
                self.waiting[sequence as usize % 1024] = sequence;
                sent += 1;
            }
            self.stream.write_all_buf(&mut self.output).await?;
            self.read().await?;
            while let Some((header, body)) = self.take() {
                let waiting = &mut self.waiting[header.sequence as usize % 1024];
                assert_eq!((header.command_id, header.status), (0x8000_0004, 0));
                assert_eq!(*waiting, header.sequence, "a response to nothing");
                assert_eq!(body.last(), Some(&0), "message_id");
                *waiting = 0;
                answered += 1;
            }
        }
        Ok(())
    }

    /// Answers every deliver_sm, at once or all together after each `commit`; until the stream ends.
    pub(crate) async fn receive(&mut self, commit: Option<Duration>) -> io::Result<()> {
        let mut unanswered = Vec::new();
        let mut next_commit = Instant::now();
        loop {
            while let Some((header, body)) = self.take() {
                assert_eq!(header.command_id, 5);
                let message = reference::read_sm(&body).expect("a deliver_sm");
                assert_eq!(std::hint::black_box(message).short_message.len(), 140);
                unanswered.push(header.sequence);
            }
            if commit.is_none_or(|_| next_commit <= Instant::now()) {
                unanswered
                    .drain(..)
                    .for_each(|sequence| reference::put_deliver_sm_resp(&mut self.output, sequence));
                next_commit = Instant::now() + commit.unwrap_or_default();
                self.stream.write_all_buf(&mut self.output).await?;
            }
            self.input.reserve(4 * 1024);
            tokio::select! {
                biased;
                read = self.stream.read_buf(&mut self.input) => if read? == 0 { return Ok(()) },
                () = sleep_until(next_commit), if !unanswered.is_empty() => {}
            }
        }
    }

    async fn read(&mut self) -> io::Result<()> {
        self.input.reserve(4 * 1024);
        match self.stream.read_buf(&mut self.input).await? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            _ => Ok(()),
        }
    }

    fn next(&mut self) -> u32 {
        self.sequence += 1;
        self.sequence
    }

    fn take(&mut self) -> Option<(reference::Header, BytesMut)> {
        let header = reference::read_header(&self.input)?;
        if self.input.len() < header.length {
            return None;
        }
        let mut body = self.input.split_to(header.length);
        body.advance(16);
        Some((header, body))
    }
}
