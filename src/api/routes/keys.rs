//! `/v1/keys`: the API keys of the caller.

use std::collections::BTreeSet;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use secrecy::ExposeSecret;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::api::auth::{Administers, Caller};
use crate::api::keys::{ApiKeyError, create_key, list_keys, revoke_key};
use crate::api::problem::{Kind, Problem};
use crate::api::request::{JsonBody, Named, NoParameters};
use crate::api::schema;
use crate::api::scope::Scope;
use crate::api::server::ApiState;
use crate::api::time::Timestamp;
use crate::api::view::PageView;
use crate::store::CommitError;
use crate::store::records::ApiKey;

/// Most keys of an owner that are not revoked.
const KEYS_MAX: usize = 256;

/// The routes of this file.
pub(super) fn router() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(list, create)).routes(routes!(revoke))
}

/// An API key.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Key)]
struct KeyView {
    /// Its id.
    #[schema(value_type = schema::KeyId)]
    id: String,
    /// What people call it.
    name: String,
    /// What it may do.
    scopes: BTreeSet<Scope>,
    /// When it was made.
    created_at: Timestamp,
    /// Whether it opens nothing any more.
    revoked: bool,
}

impl From<&ApiKey> for KeyView {
    fn from(key: &ApiKey) -> Self {
        Self {
            id: key.id.clone(),
            name: key.name.clone(),
            scopes: Scope::of_key(key),
            created_at: Timestamp::from_unix_ms(key.created),
            revoked: key.revoked,
        }
    }
}

/// A key that was just made. Its token is shown this once.
#[derive(Serialize, ToSchema)]
#[schema(as = NewKey)]
struct NewKeyView {
    #[serde(flatten)]
    key: KeyView,
    /// What goes into `Authorization: Bearer …`. Nobody can show it again.
    #[schema(example = "aw_key_0123456789abcdef_…")]
    token: String,
}

/// A key to be made.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = KeyOrder)]
#[serde(deny_unknown_fields)]
struct KeyBody {
    /// What people call it: no control characters.
    #[schema(
        min_length = 1,
        max_length = 64,
        pattern = r"^[^\u0000-\u001F\u007F-\u009F]+$",
        example = "warehouse"
    )]
    name: String,
    /// What it may do, each once.
    #[schema(value_type = BTreeSet<Scope>, min_items = 1)]
    scopes: Vec<Scope>,
}

/// List API keys
///
/// Those of the caller, revoked ones too. Secrets are never shown.
#[utoipa::path(
    get,
    path = "/v1/keys",
    operation_id = "list_keys",
    tag = "administration",
    responses((status = 200, description = "Every key.", body = PageView<KeyView>)),
    security(("key" = ["admin"])),
)]
async fn list(
    State(state): State<ApiState>,
    caller: Caller<Administers>,
    _: NoParameters,
) -> Result<Json<PageView<KeyView>>, Problem> {
    let keys = list_keys(&**state.gateway().store()).await.map_err(problem)?;
    let own = keys.iter().filter(|key| key.owner == caller.owner);
    Ok(Json(PageView { items: own.map(KeyView::from).collect(), next: None }))
}

/// Make an API key
#[utoipa::path(
    post,
    path = "/v1/keys",
    operation_id = "create_key",
    tag = "administration",
    request_body = KeyBody,
    responses(
        (status = 201, description = "The key with its token.", body = NewKeyView),
        (status = 409, description = "There are as many as may be: `too-many`."),
    ),
    security(("key" = ["admin"])),
)]
async fn create(
    State(state): State<ApiState>,
    caller: Caller<Administers>,
    _: NoParameters,
    body: JsonBody<KeyBody>,
) -> Result<(StatusCode, Json<NewKeyView>), Problem> {
    let gateway = state.gateway();
    let store = &**gateway.store();
    let KeyBody { name, scopes: named } = body.value;
    let scopes: BTreeSet<Scope> = named.iter().copied().collect();
    if scopes.len() < named.len() {
        return Err(Problem::invalid("scopes", "each scope once"));
    }
    let keys = list_keys(store).await.map_err(problem)?;
    if keys.iter().filter(|key| key.owner == caller.owner && !key.revoked).count() >= KEYS_MAX {
        let detail = format!("There are {KEYS_MAX} keys that are valid; revoke one first.");
        return Err(Problem::new(Kind::TooMany, detail));
    }
    let made = create_key(store, &**gateway.clock(), &**gateway.rng(), caller.owner, &name, &scopes).await;
    let (key, token) = made.map_err(problem)?;
    let token = token.expose_secret().to_owned();
    Ok((StatusCode::CREATED, Json(NewKeyView { key: KeyView::from(&key), token })))
}

/// Revoke an API key
///
/// From now on it opens nothing. Revoking it again changes nothing.
#[utoipa::path(
    delete,
    path = "/v1/keys/{id}",
    operation_id = "revoke_key",
    tag = "administration",
    params(("id" = schema::KeyId, Path, description = "The key.")),
    responses(
        (status = 200, description = "The key, revoked.", body = KeyView),
        (status = 404, description = "There is no such key."),
    ),
    security(("key" = ["admin"])),
)]
async fn revoke(
    State(state): State<ApiState>,
    caller: Caller<Administers>,
    Named(KeyId(id)): Named<KeyId>,
    _: NoParameters,
) -> Result<Json<KeyView>, Problem> {
    let key = revoke_key(&**state.gateway().store(), &id, Some(&caller.owner)).await.map_err(problem)?;
    Ok(Json(KeyView::from(&key)))
}

/// A key's id in the path.
struct KeyId(String);

impl std::str::FromStr for KeyId {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let digits = text.strip_prefix("key_").filter(|digits| digits.len() == 16);
        match digits.filter(|digits| digits.bytes().all(|digit| digit.is_ascii_hexdigit())) {
            Some(_) => Ok(Self(text.to_owned())),
            None => Err("expected key_<16 hexadecimal digits>"),
        }
    }
}

fn problem(error: ApiKeyError) -> Problem {
    match error {
        ApiKeyError::Name => Problem::invalid("name", "1 to 64 octets without control characters"),
        ApiKeyError::Scopes => Problem::invalid("scopes", "at least one"),
        ApiKeyError::NotFound => Problem::new(Kind::NotFound, "There is no such key."),
        ApiKeyError::Store(error) | ApiKeyError::Commit(CommitError::Store(error)) => error.into(),
        error => Problem::internal(error),
    }
}
