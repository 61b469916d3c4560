//! How a link gets a connection: real TCP in operation, in-memory pipes in tests and simulation.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

/// A boxed future, for traits that are used as objects.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// A connection: octets both ways.
pub trait Transport: AsyncRead + AsyncWrite + Unpin + Send {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> Transport for T {}

/// Opens connections.
pub trait Connector: Send + Sync + 'static {
    /// A new connection to `address` (`host:port`).
    fn connect<'a>(&'a self, address: &'a str) -> BoxFuture<'a, io::Result<Box<dyn Transport>>>;

    /// The same, with the socket addresses of the connection where it has such.
    fn connect_with_ends<'a>(&'a self, address: &'a str) -> BoxFuture<'a, io::Result<Connected>> {
        Box::pin(async move { Ok(Connected { transport: self.connect(address).await?, ends: None }) })
    }
}

/// A connection, and where it goes.
pub struct Connected {
    /// The connection.
    pub transport: Box<dyn Transport>,
    /// Its socket addresses, where it has such.
    pub ends: Option<Ends>,
}

/// The socket addresses of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ends {
    /// Our own.
    pub own: SocketAddr,
    /// The peer's.
    pub peer: SocketAddr,
}

/// Opens TCP connections without Nagle's delay.
#[derive(Debug, Clone, Copy, Default)]
pub struct TcpConnector;

impl Connector for TcpConnector {
    fn connect<'a>(&'a self, address: &'a str) -> BoxFuture<'a, io::Result<Box<dyn Transport>>> {
        Box::pin(async move { Ok(self.connect_with_ends(address).await?.transport) })
    }

    fn connect_with_ends<'a>(&'a self, address: &'a str) -> BoxFuture<'a, io::Result<Connected>> {
        Box::pin(async move {
            let stream = TcpStream::connect(address).await?;
            stream.set_nodelay(true)?;
            let ends = Some(Ends { own: stream.local_addr()?, peer: stream.peer_addr()? });
            Ok(Connected { transport: Box::new(stream), ends })
        })
    }
}
