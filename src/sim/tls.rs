//! TLS at the simulated SMSC.

use std::fmt;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::server::TlsStream;

use crate::link::{PemError, certificates, private_key, root_certificates};

/// How long a handshake may take.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// What an SMSC shows to ESMEs, and which of their certificates it accepts.
#[derive(Clone)]
pub struct TlsServer(TlsAcceptor);

/// Why an SMSC cannot speak TLS.
#[derive(Debug, thiserror::Error)]
pub enum TlsServerError {
    /// A file that cannot be used.
    #[error(transparent)]
    File(#[from] PemError),
    /// Certificate, key or authority that do not work together.
    #[error("certificate, its own key and a client authority expected: {0}")]
    Tls(String),
}

impl TlsServer {
    /// Reads PEM files: the certificate (and those between it and its authority), its key, and the authorities of the
    /// ESMEs' certificates; without those none is asked for.
    ///
    /// # Errors
    /// [`TlsServerError`].
    pub fn new(certificate: &Path, key: &Path, client_ca: Option<&Path>) -> Result<Self, TlsServerError> {
        let tls = |error: &dyn fmt::Display| TlsServerError::Tls(error.to_string());
        let provider = Arc::new(aws_lc_rs::default_provider());
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(|error| tls(&error))?;
        let builder = match client_ca {
            None => builder.with_no_client_auth(),
            Some(path) => {
                let roots = Arc::new(root_certificates(path)?);
                let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider).build();
                builder.with_client_cert_verifier(verifier.map_err(|error| tls(&error))?)
            }
        };
        let config = builder
            .with_single_cert(certificates(certificate)?, private_key(key)?)
            .map_err(|error| tls(&error))?;
        Ok(Self(Arc::new(config).into()))
    }

    /// The handshake with an ESME that has connected.
    ///
    /// # Errors
    /// Why it failed, or that it took longer than 10 s.
    pub async fn accept<S>(&self, stream: S) -> io::Result<TlsStream<S>>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        timeout(HANDSHAKE, self.0.accept(stream)).await?
    }
}

impl fmt::Debug for TlsServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TlsServer(..)")
    }
}
