//! Who calls: a bearer token (RFC 6750) in the `Authorization` header names the owner.

use std::sync::Arc;

use axum::extract::{FromRef, FromRequestParts};
use axum::http::header;
use axum::http::request::Parts;
use secrecy::SecretString;

use crate::card::Owner;
use crate::store::Store;

use super::keys::{ApiKeyError, owner_of};
use super::problem::{Kind, Problem};

/// The owner whose key came with the request. The store is asked each time, so that a revoked key is refused at once.
#[derive(Debug)]
pub(super) struct Caller(pub(super) Owner);

impl<S> FromRequestParts<S> for Caller
where
    S: Send + Sync,
    Arc<dyn Store>: FromRef<S>,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let Some(token) = bearer(parts) else {
            let problem = Problem::new(
                Kind::Unauthorized,
                "The request needs an Authorization header with an API key.",
            );
            return Err(problem
                .expecting("Authorization: Bearer aw_…")
                .challenging(r#"Bearer realm="airwrite""#));
        };
        let store = Arc::<dyn Store>::from_ref(state);
        match owner_of(store.as_ref(), &token).await {
            Ok(Some(owner)) => Ok(Self(owner)),
            Ok(None) => {
                let problem =
                    Problem::new(Kind::Unauthorized, "The API key is not known or has been revoked.");
                Err(problem.challenging(r#"Bearer realm="airwrite", error="invalid_token""#))
            }
            Err(ApiKeyError::Store(error)) => Err(error.into()),
            Err(error) => Err(Problem::internal(error)),
        }
    }
}

/// The token of the one `Authorization` header.
fn bearer(parts: &Parts) -> Option<SecretString> {
    let mut values = parts.headers.get_all(header::AUTHORIZATION).iter();
    let value = values.next().filter(|_| values.next().is_none())?;
    let (scheme, token) = value.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| SecretString::from(token.trim()))
}

#[cfg(test)]
mod tests {
    use axum::http::Request;
    use axum::response::IntoResponse;
    use secrecy::ExposeSecret;

    use super::*;
    use crate::api::keys::{create_key, revoke_key};
    use crate::store::MemoryStore;
    use crate::world::{SeededRng, TokioClock};

    #[derive(Clone)]
    struct OnlyStore(Arc<dyn Store>);

    impl FromRef<OnlyStore> for Arc<dyn Store> {
        fn from_ref(state: &OnlyStore) -> Self {
            Self::clone(&state.0)
        }
    }

    async fn call(store: &Arc<MemoryStore>, authorization: &[&str]) -> Result<Caller, Problem> {
        let mut request = Request::get("/v1/writes");
        for value in authorization {
            request = request.header("authorization", *value);
        }
        let (mut parts, ()) = request.body(()).unwrap().into_parts();
        Caller::from_request_parts(&mut parts, &OnlyStore(store.clone())).await
    }

    fn challenge(problem: Problem) -> String {
        let response = problem.into_response();
        assert_eq!(response.status(), 401);
        response.headers()["www-authenticate"].to_str().unwrap().to_owned()
    }

    #[tokio::test]
    async fn the_key_names_the_owner_until_it_is_revoked() {
        let store = Arc::new(MemoryStore::new());
        let clock = TokioClock::starting_at(0);
        let owner: Owner = "acme".parse().unwrap();
        let (key, token) =
            create_key(store.as_ref(), &clock, &SeededRng::new(1), owner.clone(), "k").await.unwrap();
        let token = token.expose_secret();
        assert_eq!(call(&store, &[&format!("Bearer {token}")]).await.unwrap().0, owner);
        assert_eq!(call(&store, &[&format!("bearer  {token}")]).await.unwrap().0, owner);
        revoke_key(store.as_ref(), &key.id).await.unwrap();
        let problem = call(&store, &[&format!("Bearer {token}")]).await.unwrap_err();
        assert!(challenge(problem).contains("invalid_token"));
    }

    #[tokio::test]
    async fn without_a_key_the_answer_says_what_is_needed() {
        let store = Arc::new(MemoryStore::new());
        for authorization in [&[][..], &["Basic YTpi"], &["Bearer"], &["Bearer a", "Bearer b"]] {
            let problem = call(&store, authorization).await.unwrap_err();
            assert_eq!(challenge(problem), r#"Bearer realm="airwrite""#, "{authorization:?}");
        }
        let problem = call(&store, &["Bearer aw_key_0_00"]).await.unwrap_err();
        assert!(challenge(problem).contains("invalid_token"));
    }

    #[tokio::test]
    async fn a_store_out_of_service_is_no_refusal() {
        let store = Arc::new(MemoryStore::new());
        store.poison();
        let token = format!("Bearer aw_key_0_{}", "0".repeat(64));
        let problem = call(&store, &[&token]).await.unwrap_err();
        assert_eq!(problem.kind(), Kind::Unavailable);
    }
}
