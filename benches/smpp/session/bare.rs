//! The bare loop: one task that owns its TCP stream and does what no client can leave out, and nothing more. It writes
//! each submit_sm field by field, keeps the window, matches every response with its request, and reads each deliver_sm
//! field by field before it answers. No timers, no callers to wake, no state but the window.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::{BufMut, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep_until};

use super::sample::Counted;
use crate::codec::reference;

const BIND_TRANSCEIVER: u32 = 9;
const DELIVER_SM: u32 = 5;
const RESPONSE: u32 = 0x8000_0000;
const SUBMIT_SM_RESP: u32 = 0x8000_0004;

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
        put(&mut bare.output, BIND_TRANSCEIVER, sequence, b"airwrite\0secret\0\0\x34\0\0\0");
        bare.stream.write_all_buf(&mut bare.output).await?;
        while bare.take().is_none() {
            bare.read().await?;
        }
        Ok(bare)
    }

    /// Sends `count` submit_sm and reads their responses.
    pub(crate) async fn submit(&mut self, pdu: &[u8], window: u32, count: u32) -> io::Result<()> {
        let mut message = reference::decode(pdu).expect("a submit_sm");
        let (mut sent, mut answered) = (0, 0);
        while answered < count {
            while sent < count && sent - answered < window {
                let sequence = self.next();
                message.sequence_number = sequence;
                reference::encode(&message, &mut self.output);
                self.waiting[sequence as usize % 1024] = sequence;
                sent += 1;
            }
            self.stream.write_all_buf(&mut self.output).await?;
            self.read().await?;
            while let Some(pdu) = self.take() {
                let waiting = &mut self.waiting[field(&pdu, 12) as usize % 1024];
                assert_eq!((field(&pdu, 4), field(&pdu, 8)), (SUBMIT_SM_RESP, 0));
                assert_eq!(*waiting, field(&pdu, 12), "a response to nothing");
                assert_eq!(pdu.last(), Some(&0), "message_id");
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
            while let Some(pdu) = self.take() {
                let message = reference::decode_as(DELIVER_SM, &pdu).expect("a deliver_sm");
                assert_eq!(std::hint::black_box(&message).short_message.len(), 140);
                unanswered.push(message.sequence_number);
            }
            if commit.is_none_or(|_| next_commit <= Instant::now()) {
                for sequence in unanswered.drain(..) {
                    put(&mut self.output, DELIVER_SM | RESPONSE, sequence, b"\0");
                }
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

    fn take(&mut self) -> Option<BytesMut> {
        let length = self.input.first_chunk().map(|length| u32::from_be_bytes(*length) as usize)?;
        (self.input.len() >= length).then(|| self.input.split_to(length))
    }
}

fn field(pdu: &[u8], at: usize) -> u32 {
    u32::from_be_bytes(pdu[at..at + 4].try_into().expect("4 octets"))
}

fn put(output: &mut BytesMut, command_id: u32, sequence: u32, body: &[u8]) {
    for field in [16 + body.len() as u32, command_id, 0, sequence] {
        output.put_u32(field);
    }
    output.put_slice(body);
}
