//! TLS below SMPP: what a link trusts and shows, and the connector that speaks it over any other.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use rustls_platform_verifier::BuilderVerifierExt;
use serde::Deserialize;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::{self, ClientConfig};

use super::{BoxFuture, Connected, Connector, LinkConfig, LinkConfigError, Transport, pem};

/// `[link.tls]`: TLS 1.2 or 1.3 to the SMSC. An empty table is enough where a public authority vouches for the SMSC.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TlsConfig {
    /// PEM file with the authorities that may vouch for the SMSC; those of the platform where absent.
    pub ca_file: Option<PathBuf>,
    /// PEM file with the link's own certificate and those between it and its authority, in this order.
    pub certificate_file: Option<PathBuf>,
    /// PEM file with the private key of that certificate.
    pub key_file: Option<PathBuf>,
    /// The name that the SMSC's certificate must have; the host of `address` where absent.
    pub server_name: Option<String>,
}

impl TlsConfig {
    /// The files that it names.
    pub fn files_mut(&mut self) -> impl Iterator<Item = &mut PathBuf> {
        [&mut self.ca_file, &mut self.certificate_file, &mut self.key_file].into_iter().flatten()
    }

    fn client_config(&self) -> Result<ClientConfig, (&'static str, String)> {
        let tls = |key| move |error: rustls::Error| (key, error.to_string());
        let file = |key| move |error: pem::PemError| (key, error.to_string());
        let builder = ClientConfig::builder_with_provider(aws_lc_rs::default_provider().into())
            .with_safe_default_protocol_versions()
            .map_err(tls("tls"))?;
        let builder = match &self.ca_file {
            Some(path) => {
                builder.with_root_certificates(pem::root_certificates(path).map_err(file("tls.ca_file"))?)
            }
            None => builder.with_platform_verifier().map_err(|error| {
                ("tls.ca_file", format!("a value is required where the platform trusts nobody: {error}"))
            })?,
        };
        match (&self.certificate_file, &self.key_file) {
            (None, None) => Ok(builder.with_no_client_auth()),
            (Some(certificate), Some(key)) => {
                let chain = pem::certificates(certificate).map_err(file("tls.certificate_file"))?;
                let private_key = pem::private_key(key).map_err(file("tls.key_file"))?;
                builder.with_client_auth_cert(chain, private_key).map_err(|error| {
                    let (certificate, key) = (certificate.display(), key.display());
                    ("tls.key_file", format!("{key}: the key of {certificate} expected: {error}"))
                })
            }
            (Some(_), None) => {
                Err(("tls.key_file", "a value is required with tls.certificate_file".to_owned()))
            }
            (None, Some(_)) => {
                Err(("tls.certificate_file", "a value is required with tls.key_file".to_owned()))
            }
        }
    }
}

/// Speaks TLS over the connections of another connector, and gives what is spoken within.
#[derive(Clone)]
pub struct TlsConnector {
    below: Arc<dyn Connector>,
    client: tokio_rustls::TlsConnector,
    server_name: ServerName<'static>,
}

/// The connector of a link: `below` itself, or TLS over it where the link has `tls`, which is taken out of `config`.
///
/// [`start`](super::start) does this itself. Whoever wants to see what is spoken within TLS does it before, and hands
/// over a connector on top of this one.
///
/// # Errors
/// A file that cannot be used, or a name that is none.
pub fn secured(
    config: &mut LinkConfig,
    below: Arc<dyn Connector>,
) -> Result<Arc<dyn Connector>, LinkConfigError> {
    let Some(tls) = config.tls.take() else { return Ok(below) };
    let client = tls.client_config().map_err(|(key, problem)| config.error(key, problem))?;
    let name = tls.server_name.as_deref().unwrap_or_else(|| host(&config.address));
    let server_name = ServerName::try_from(name.to_owned()).map_err(|_| {
        config.error("tls.server_name", format!("a DNS name or an IP address expected, found {name:?}"))
    })?;
    Ok(Arc::new(TlsConnector { below, client: Arc::new(client).into(), server_name }))
}

impl Connector for TlsConnector {
    fn connect<'a>(&'a self, address: &'a str) -> BoxFuture<'a, io::Result<Box<dyn Transport>>> {
        Box::pin(async move { Ok(self.connect_with_ends(address).await?.transport) })
    }

    fn connect_with_ends<'a>(&'a self, address: &'a str) -> BoxFuture<'a, io::Result<Connected>> {
        Box::pin(async move {
            let Connected { transport, ends } = self.below.connect_with_ends(address).await?;
            let name = self.server_name.clone();
            let stream = self.client.connect(name, transport).await.map_err(|error| {
                let name = self.server_name.to_str();
                io::Error::new(error.kind(), format!("TLS handshake with {name}: {error}"))
            })?;
            let session = stream.get_ref().1;
            tracing::debug!(address, version = ?session.protocol_version(), "TLS");
            Ok(Connected { transport: Box::new(stream), ends })
        })
    }
}

/// The host of `host:port`.
fn host(address: &str) -> &str {
    let host = address.rsplit_once(':').map_or(address, |(host, _port)| host);
    host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_found_in_an_address() {
        for (address, expected) in [
            ("smsc.example:2775", "smsc.example"),
            ("10.0.0.1:2775", "10.0.0.1"),
            ("[2001:db8::1]:2775", "2001:db8::1"),
            ("smsc.example", "smsc.example"),
        ] {
            assert_eq!(host(address), expected);
        }
    }
}
