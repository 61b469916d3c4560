//! Connections in memory.

use std::io;

use airwrite::link::{BoxFuture, Connector, Transport};
use tokio::io::DuplexStream;
use tokio::sync::mpsc;

/// Hands the other end of each connection to the test.
pub(crate) struct Pipes {
    ends: mpsc::UnboundedSender<DuplexStream>,
    octets: usize,
}

impl Pipes {
    /// The address that it connects to.
    pub(crate) const ADDRESS: &str = "smsc:2775";

    /// Pipes of so many octets, and where their other ends come out.
    pub(crate) fn new(octets: usize) -> (Self, mpsc::UnboundedReceiver<DuplexStream>) {
        let (ends, connections) = mpsc::unbounded_channel();
        (Self { ends, octets }, connections)
    }
}

impl Connector for Pipes {
    fn connect<'a>(&'a self, address: &'a str) -> BoxFuture<'a, io::Result<Box<dyn Transport>>> {
        assert_eq!(address, Self::ADDRESS);
        Box::pin(async {
            let (ours, theirs) = tokio::io::duplex(self.octets);
            self.ends.send(theirs).map_err(|_| io::Error::from(io::ErrorKind::ConnectionRefused))?;
            Ok(Box::new(ours) as Box<dyn Transport>)
        })
    }
}
