//! An API key: of the secret only its digest is stored.

use prost::Message as _;

use crate::card::Owner;

use super::RecordError;
use super::reader::Reader;

/// A key to the HTTP API.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiKey {
    /// Its id, which is no secret.
    pub id: String,
    /// Whose things it opens.
    pub owner: Owner,
    /// SHA-256 of the secret.
    pub digest: [u8; 32],
    /// When it was made, unix ms.
    pub created: u64,
    /// Whether it opens nothing any more.
    pub revoked: bool,
    /// What people call it.
    pub name: String,
    /// What it opens. Empty in keys from before there were scopes: the API says what those open.
    pub scopes: Vec<String>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct ApiKeyBody {
    #[prost(string, tag = "1")]
    id: String,
    #[prost(string, tag = "2")]
    owner: String,
    #[prost(bytes = "vec", tag = "3")]
    digest: Vec<u8>,
    #[prost(uint64, tag = "4")]
    created: u64,
    #[prost(bool, tag = "5")]
    revoked: bool,
    #[prost(string, tag = "6")]
    name: String,
    #[prost(string, repeated, tag = "7")]
    scopes: Vec<String>,
}

/// The body of a stored value that holds this record.
#[must_use]
pub fn encode_api_key(key: &ApiKey) -> Vec<u8> {
    ApiKeyBody {
        id: key.id.clone(),
        owner: key.owner.as_str().to_owned(),
        digest: key.digest.to_vec(),
        created: key.created,
        revoked: key.revoked,
        name: key.name.clone(),
        scopes: key.scopes.clone(),
    }
    .encode_to_vec()
}

/// The record in the body of a stored value.
///
/// # Errors
/// [`RecordError`] for octets that are no such record, or one beyond its limits.
pub fn decode_api_key(octets: &[u8]) -> Result<ApiKey, RecordError> {
    let (body, read) = Reader::open::<ApiKeyBody>("API key", octets)?;
    Ok(ApiKey {
        id: body.id,
        owner: read.owner("owner", &body.owner)?,
        digest: read.digest("digest", &body.digest)?,
        created: body.created,
        revoked: body.revoked,
        name: body.name,
        scopes: body.scopes,
    })
}
