//! Certificates and keys from PEM files (RFC 7468).

use std::path::{Path, PathBuf};

use tokio_rustls::rustls::RootCertStore;
use tokio_rustls::rustls::pki_types::pem::{Error, PemObject};
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

/// A PEM file that cannot be used. Shows nothing of what stands in it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}: {problem}", path.display())]
pub struct PemError {
    /// The file.
    pub path: PathBuf,
    /// What is wrong, and what was expected.
    pub problem: String,
}

impl PemError {
    fn new(path: &Path, problem: impl ToString) -> Self {
        Self { path: path.to_owned(), problem: problem.to_string() }
    }

    fn of(path: &Path, expected: &str, error: &Error) -> Self {
        match error {
            Error::Io(error) => Self::new(path, error),
            Error::NoItemsFound => Self::new(path, format!("{expected} in PEM expected, found none")),
            _ => Self::new(path, format!("{expected} in PEM expected, found what is no PEM")),
        }
    }
}

/// The certificates of a file, in its order.
///
/// # Errors
/// The file cannot be read, is no PEM, or has no certificate.
pub fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, PemError> {
    let error = |error| PemError::of(path, "a certificate", &error);
    let certificates: Vec<_> =
        CertificateDer::pem_file_iter(path).map_err(error)?.collect::<Result<_, _>>().map_err(error)?;
    if certificates.is_empty() {
        return Err(error(Error::NoItemsFound));
    }
    Ok(certificates)
}

/// The first private key of a file: PKCS #8, PKCS #1 or SEC 1, without a passphrase.
///
/// # Errors
/// The file cannot be read, is no PEM, or has no such key.
pub fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, PemError> {
    PrivateKeyDer::from_pem_file(path)
        .map_err(|error| PemError::of(path, "a private key without passphrase", &error))
}

/// The certificates of a file as those of authorities that are trusted.
///
/// # Errors
/// As [`certificates`]; or one of them is no X.509 certificate.
pub fn root_certificates(path: &Path) -> Result<RootCertStore, PemError> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(path)? {
        roots
            .add(certificate)
            .map_err(|error| PemError::new(path, format!("an X.509 certificate expected: {error}")))?;
    }
    Ok(roots)
}
