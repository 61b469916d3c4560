//! A webhook endpoint that was made over the API.

use prost::Message as _;

use crate::card::Owner;

use super::RecordError;
use super::reader::Reader;

/// An endpoint that events are sent to. Its signing key is sealed by the vault.
#[derive(Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// Its id, which is the name of its outbox.
    pub id: String,
    /// Whose events it gets.
    pub owner: Owner,
    /// Where they are sent.
    pub url: String,
    /// What people call it.
    pub name: String,
    /// The signing key's text (`whsec_…`), sealed under the endpoint's id.
    pub sealed_secret: Vec<u8>,
    /// When it was made, unix ms.
    pub created: u64,
}

impl std::fmt::Debug for Endpoint {
    /// The URL may hold what only the endpoint may know: neither it nor the secret is shown.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { id, owner, url: _, name, sealed_secret: _, created } = self;
        f.debug_struct("Endpoint")
            .field("id", id)
            .field("owner", owner)
            .field("name", name)
            .field("created", created)
            .finish_non_exhaustive()
    }
}

#[derive(Clone, PartialEq, prost::Message)]
struct EndpointBody {
    #[prost(string, tag = "1")]
    id: String,
    #[prost(string, tag = "2")]
    owner: String,
    #[prost(string, tag = "3")]
    url: String,
    #[prost(string, tag = "4")]
    name: String,
    #[prost(bytes = "vec", tag = "5")]
    sealed_secret: Vec<u8>,
    #[prost(uint64, tag = "6")]
    created: u64,
}

/// The body of a stored value that holds this record.
#[must_use]
pub fn encode_endpoint(endpoint: &Endpoint) -> Vec<u8> {
    EndpointBody {
        id: endpoint.id.clone(),
        owner: endpoint.owner.as_str().to_owned(),
        url: endpoint.url.clone(),
        name: endpoint.name.clone(),
        sealed_secret: endpoint.sealed_secret.clone(),
        created: endpoint.created,
    }
    .encode_to_vec()
}

/// The record in the body of a stored value.
///
/// # Errors
/// [`RecordError`] for octets that are no such record, or one beyond its limits.
pub fn decode_endpoint(octets: &[u8]) -> Result<Endpoint, RecordError> {
    let (body, read) = Reader::open::<EndpointBody>("endpoint", octets)?;
    Ok(Endpoint {
        id: body.id,
        owner: read.owner("owner", &body.owner)?,
        url: body.url,
        name: body.name,
        sealed_secret: body.sealed_secret,
        created: body.created,
    })
}
