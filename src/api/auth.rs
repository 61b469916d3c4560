//! Who calls: a bearer token (RFC 6750) in the `Authorization` header names the owner, and what may be done.

use std::marker::PhantomData;
use std::sync::Arc;

use axum::extract::{FromRef, FromRequestParts};
use axum::http::header;
use axum::http::request::Parts;
use secrecy::SecretString;

use crate::card::Owner;
use crate::store::Store;

use super::keys::{ApiKeyError, Opens, opens};
use super::problem::{Kind, Problem};
use super::scope::Scope;

/// What a route needs a key to be allowed.
pub(super) trait Needs {
    /// The scopes, all of which are needed.
    const SCOPES: &[Scope];
}

/// The needs of the routes, each a type so that a handler names it.
macro_rules! needs {
    ($($(#[$doc:meta])* $name:ident = $($scope:ident)&+;)+) => {$(
        $(#[$doc])*
        #[derive(Debug)]
        pub(super) struct $name;

        impl Needs for $name {
            const SCOPES: &[Scope] = &[$(Scope::$scope),+];
        }
    )+};
}

needs! {
    /// Reads writes.
    ReadsOrders = OrdersRead;
    /// Changes writes.
    WritesOrders = OrdersWrite;
    /// Reads cards and devices.
    ReadsCards = CardsRead;
    /// Changes cards and devices.
    WritesCards = CardsWrite;
    /// Reads whatever happens.
    ReadsEvents = OrdersRead & CardsRead;
    /// Runs the platform.
    Administers = Admin;
}

/// The owner whose key came with the request, where the key may do what `N` needs. The store is asked each time, so
/// that a revoked key is refused at once.
#[derive(Debug)]
pub(super) struct Caller<N> {
    pub(super) owner: Owner,
    needs: PhantomData<N>,
}

impl<S, N: Needs> FromRequestParts<S> for Caller<N>
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
        match opens(store.as_ref(), &token).await {
            Ok(Some(Opens { owner, scopes })) => {
                let missing =
                    N::SCOPES.iter().find(|scope| !scopes.contains(scope) && !scopes.contains(&Scope::Admin));
                match missing {
                    None => Ok(Self { owner, needs: PhantomData }),
                    Some(scope) => Err(lacks(*scope)),
                }
            }
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

fn lacks(scope: Scope) -> Problem {
    let detail = format!("The API key may not do this: it lacks the scope {scope}.");
    let problem = Problem::new(Kind::Forbidden, detail).at("Authorization");
    problem.expecting(format!("a key with the scope {scope}"))
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
    use std::collections::BTreeSet;

    #[derive(Clone)]
    struct OnlyStore(Arc<dyn Store>);

    impl FromRef<OnlyStore> for Arc<dyn Store> {
        fn from_ref(state: &OnlyStore) -> Self {
            Self::clone(&state.0)
        }
    }

    async fn call(store: &Arc<MemoryStore>, authorization: &[&str]) -> Result<Caller<ReadsEvents>, Problem> {
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
        let (rng, scopes) = (SeededRng::new(1), Scope::all_but_admin());
        let (key, token) =
            create_key(store.as_ref(), &clock, &rng, owner.clone(), "k", &scopes).await.unwrap();
        let token = token.expose_secret();
        assert_eq!(call(&store, &[&format!("Bearer {token}")]).await.unwrap().owner, owner);
        assert_eq!(call(&store, &[&format!("bearer  {token}")]).await.unwrap().owner, owner);
        revoke_key(store.as_ref(), &key.id, None).await.unwrap();
        let problem = call(&store, &[&format!("Bearer {token}")]).await.unwrap_err();
        assert!(challenge(problem).contains("invalid_token"));
    }

    #[tokio::test]
    async fn every_scope_of_a_route_is_needed_and_admin_has_all() {
        let store = Arc::new(MemoryStore::new());
        let (clock, rng) = (TokioClock::starting_at(0), SeededRng::new(1));
        for (scopes, missing) in [
            (&[Scope::OrdersRead, Scope::CardsRead][..], None),
            (&[Scope::Admin], None),
            (&[Scope::OrdersRead, Scope::CardsWrite], Some("cards:read")),
            (&[Scope::OrdersWrite], Some("orders:read")),
        ] {
            let scopes = BTreeSet::from_iter(scopes.iter().copied());
            let owner = "acme".parse().unwrap();
            let (_, token) = create_key(store.as_ref(), &clock, &rng, owner, "k", &scopes).await.unwrap();
            let called = call(&store, &[&format!("Bearer {}", token.expose_secret())]).await;
            let refused = called.err();
            assert_eq!(refused.is_some(), missing.is_some(), "{scopes:?}");
            if let (Some(problem), Some(missing)) = (refused, missing) {
                assert_eq!(problem.kind(), Kind::Forbidden);
                assert!(problem.detail().contains(missing), "{}", problem.detail());
            }
        }
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
