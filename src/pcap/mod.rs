//! Captures: what goes over a link as pcapng, which Wireshark opens, and captures read back.
//!
//! [`Recorder`] stands around connections and copies their plaintext both ways, TLS or not, into packets of a
//! TCP connection: handshake, sequence numbers, FIN or RST, real addresses where they are known. A packet
//! holds the PDUs that one read or write has completed. Passwords in bind and outbind are masked. Recording
//! never slows or breaks a link: what the disk does not take in time is missing from the capture, and the
//! capture says so.
//!
//! [`read()`] gives the dialogues of any capture, of ours and of other programs, with their octets and PDUs.
//!
//! | module | what it does |
//! |---|---|
//! | `recorder`, `tap` | the handle, and the stream that notes what passes through it |
//! | `mask` | passwords out of a stream, however it is cut |
//! | `conversation` | what passed as TCP segments |
//! | `writer` | blocks, files, rotation |
//! | `packets` | pcapng and pcap to TCP segments |
//! | `reassembly` | TCP segments to streams |
//! | `dialogue` | streams to PDUs |

mod conversation;
mod dialogue;
mod mask;
mod packets;
mod reassembly;
mod recorder;
mod tap;
mod writer;

pub use dialogue::{Capture, Dialogue, DialoguePdu, read};
pub use packets::ReadError;
pub use reassembly::{Gap, Segment, Stream, StreamEnd};
pub use recorder::{Addresses, CaptureError, Recorder, RecordingConnector};
pub use tap::Recorded;

/// A side of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Side {
    /// Opened the connection: the ESME, except where the SMSC asks for a bind by outbind.
    Client,
    /// Took it.
    Server,
}

impl Side {
    /// The other side.
    #[must_use]
    pub const fn other(self) -> Self {
        match self {
            Self::Client => Self::Server,
            Self::Server => Self::Client,
        }
    }
}

/// One of something for each side.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Both<T> {
    client: T,
    server: T,
}

impl<T> Both<T> {
    const fn of(&self, side: Side) -> &T {
        match side {
            Side::Client => &self.client,
            Side::Server => &self.server,
        }
    }

    const fn of_mut(&mut self, side: Side) -> &mut T {
        match side {
            Side::Client => &mut self.client,
            Side::Server => &mut self.server,
        }
    }
}
