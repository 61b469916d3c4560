//! A stream that notes what passes through it.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::mask::Mask;
use super::recorder::{Connection, Recorder, What};
use super::{Both, Side};

/// A stream that is recorded.
#[derive(Debug)]
pub struct Recorded<S> {
    inner: S,
    tap: Tap,
}

#[derive(Debug)]
struct Tap {
    own: Side,
    connection: Arc<Connection>,
    recorder: Recorder,
    said: Both<Said>,
}

/// What a side has said so far.
#[derive(Debug)]
struct Said {
    mask: Mask,
    /// How many octets were noted.
    noted: u64,
    /// The beginning of a PDU that is not complete: a packet begins with a PDU, because Wireshark knows SMPP by that.
    held: BytesMut,
    ended: bool,
}

impl Default for Said {
    fn default() -> Self {
        Self { mask: Mask::new(), noted: 0, held: BytesMut::new(), ended: false }
    }
}

impl<S> Recorded<S> {
    pub(super) fn new(inner: S, own: Side, connection: Arc<Connection>, recorder: Recorder) -> Self {
        recorder.note(&connection, What::Opened);
        Self { inner, tap: Tap { own, connection, recorder, said: Both::default() } }
    }
}

impl Tap {
    fn say(&mut self, from: Side, octets: &[u8]) {
        let said = self.said.of_mut(from);
        let before = said.held.len();
        said.held.extend_from_slice(octets);
        if let Some(boundary) = said.mask.apply(&mut said.held[before..]) {
            self.note(from, before + boundary);
        }
    }

    /// Notes so many of the octets that are held.
    fn note(&mut self, from: Side, count: usize) {
        let said = self.said.of_mut(from);
        let octets = said.held.split_to(count).freeze();
        let offset = said.noted;
        said.noted += count as u64;
        self.recorder.note(&self.connection, What::Said { from, offset, octets });
    }

    fn end(&mut self, from: Side, reset: bool) {
        let said = self.said.of_mut(from);
        if std::mem::replace(&mut said.ended, true) {
            return;
        }
        let held = said.held.len();
        if held > 0 {
            self.note(from, held);
        }
        let offset = self.said.of(from).noted;
        self.recorder.note(&self.connection, What::Ended { from, offset, reset });
    }

    /// The peer is not there any more.
    fn fail(&mut self, error: &io::Error) {
        let reset = matches!(
            error.kind(),
            io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionAborted | io::ErrorKind::BrokenPipe
        );
        self.end(self.own.other(), reset);
    }

    fn wrote(&mut self, written: &io::Result<usize>, octets: &[u8]) {
        match written {
            Ok(count) => self.say(self.own, &octets[..*count]),
            Err(error) => self.fail(error),
        }
    }
}

/// Who drops a stream closes the connection.
impl Drop for Tap {
    fn drop(&mut self) {
        self.end(self.own, false);
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Recorded<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let Self { inner, tap } = self.get_mut();
        let (before, room) = (buffer.filled().len(), buffer.remaining());
        let read = ready!(Pin::new(inner).poll_read(context, buffer));
        let peer = tap.own.other();
        match &read {
            Ok(()) if buffer.filled().len() > before => tap.say(peer, &buffer.filled()[before..]),
            Ok(()) if room > 0 => tap.end(peer, false),
            Ok(()) => {}
            Err(error) => tap.fail(error),
        }
        Poll::Ready(read)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Recorded<S> {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, octets: &[u8]) -> Poll<io::Result<usize>> {
        let Self { inner, tap } = self.get_mut();
        let written = ready!(Pin::new(inner).poll_write(context, octets));
        tap.wrote(&written, octets);
        Poll::Ready(written)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let Self { inner, tap } = self.get_mut();
        let written = ready!(Pin::new(inner).poll_write_vectored(context, slices));
        let octets: Vec<u8> = slices.iter().flat_map(|slice| slice.iter().copied()).collect();
        tap.wrote(&written, &octets);
        Poll::Ready(written)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().inner).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Self { inner, tap } = self.get_mut();
        let shut = ready!(Pin::new(inner).poll_shutdown(context));
        tap.end(tap.own, false);
        Poll::Ready(shut)
    }
}
