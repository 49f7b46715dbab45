//! Verifies tokens signed by an issuer, as Cloud Tasks sends to HTTP targets.

mod builder;
mod claims;
mod endpoint;
mod jwks;
mod keys;
mod source;
mod unknown;

pub use builder::OidcBuilder;
pub use endpoint::KeyEndpoint;
pub use source::{FetchedKeys, KeySource};

use std::fmt;
use std::sync::Arc;

use http::header::AUTHORIZATION;
use http::request::Parts;
use jsonwebtoken::crypto::aws_lc::DEFAULT_PROVIDER;
use jsonwebtoken::{Algorithm, DecodingKey};
use serde_json::Value;

use super::token::{Claims, REMOVED_SIGNATURE, SERVERLESS_AUTHORIZATION, Unread, bearer, decoded};
use super::{Refused, Verified, Verify};
use crate::backend::BoxFuture;
use crate::clock::Clock;
use claims::Expected;
use jwks::MAX_KEY_ID_BYTES;
use keys::Keys;

/// Accepts requests with a token that an issuer, by default Google, has signed for this program and
/// for a service account that may call.
///
/// Cloud Tasks [adds such a
/// token](https://cloud.google.com/tasks/docs/creating-http-target-tasks#token) to each attempt of
/// a task with an `oidcToken`. The verifier checks, in this order and strictly:
/// - the form of `Authorization: Bearer` (at most 8 KiB), the algorithm `RS256`, a key id;
/// - `iss`; `aud` is, or lists, an [audience](OidcBuilder::audience); `exp`, `iat` and, if present,
///   `nbf` against the clock, within the [leeway](OidcBuilder::leeway);
/// - `email` is a [service account](OidcBuilder::service_account) that may call, and
///   `email_verified` is true: otherwise any Google account could make a token for our audience;
/// - the signature, by a key of the issuer.
///
/// Keys are fetched once for all waiting requests and kept as long as the endpoint says (a minute
/// to a day). While the endpoint fails, keys are kept for up to seven days. Tokens with unknown
/// keys cause a bounded number of fetches, and never delay tokens with known keys.
///
/// ```
/// use gae_tasks::push::verify::Oidc;
///
/// # fn main() -> Result<(), gae_tasks::Error> {
/// let verify = Oidc::google()
///     .audience("https://worker.example.com")
///     .service_account("queue@my-project.iam.gserviceaccount.com")
///     .build()?;
/// # Ok(())
/// # }
/// ```
///
/// Clones share their keys.
#[derive(Clone)]
pub struct Oidc(Arc<Inner>);

struct Inner {
    expected: Expected,
    keys: Keys,
    clock: Arc<dyn Clock>,
    reads_serverless: bool,
}

impl Oidc {
    async fn check(&self, request: &Parts) -> Result<Verified, Refused> {
        let token = Unread::cut(self.token(request)?)?;
        if token.is_checked_by_platform() {
            return Err(Refused::new(format!(
                "its signature is `{REMOVED_SIGNATURE}`, as Cloud Run checks callers itself and \
                 leaves nothing to verify: use \
                 `PlatformAuthenticated::whoever_gets_here_was_checked().service_account(..)` in \
                 place of `Oidc`"
            )));
        }
        let key_id = key_id(&token.header()?)?;
        // Checked before a key is looked up: a token that fails here costs no fetch and no
        // arithmetic.
        let email = self.0.expected.check(&token.claims()?, self.0.clock.wall())?;
        let key = self.0.keys.find(&key_id).await?;
        if !is_signed(&token, &key) {
            return Err(Refused::new(
                "the token's signature does not match the key that the token names",
            ));
        }
        Ok(Verified::new("OIDC").with_subject(email))
    }

    fn token<'a>(&self, request: &'a Parts) -> Result<&'a str, Refused> {
        if let Some(token) = bearer(&request.headers, &AUTHORIZATION)? {
            return Ok(token);
        }
        let other = if self.0.reads_serverless {
            bearer(&request.headers, &SERVERLESS_AUTHORIZATION)?
        } else {
            None
        };
        other.ok_or_else(|| Refused::new("no header `Authorization: Bearer`"))
    }
}

impl fmt::Debug for Oidc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Oidc")
            .field("expected", &self.0.expected)
            .field("keys", &self.0.keys)
            .finish_non_exhaustive()
    }
}

impl Verify for Oidc {
    fn verify<'a>(&'a self, request: &'a Parts) -> BoxFuture<'a, Result<Verified, Refused>> {
        Box::pin(async move {
            self.check(request)
                .await
                .map_err(|refused| Refused::new(format!("OIDC token: {refused}")))
        })
    }
}

/// The key that the token's header names, if the header names the only accepted algorithm.
fn key_id(header: &Claims) -> Result<String, Refused> {
    if header.get("alg") != Some(&Value::String("RS256".to_owned())) {
        return Err(Refused::new("the token's algorithm is not RS256"));
    }
    // Extensions that must be understood (RFC 7515, 4.1.11): this verifier knows none.
    if header.contains_key("crit") {
        return Err(Refused::new("the token's header has critical extensions"));
    }
    match header.get("kid") {
        Some(Value::String(id)) if (1..=MAX_KEY_ID_BYTES).contains(&id.len()) => Ok(id.clone()),
        _ => Err(Refused::new("the token's header names no key (`kid`)")),
    }
}

fn is_signed(token: &Unread<'_>, key: &DecodingKey) -> bool {
    let Some(signature) = decoded(token.signature) else { return false };
    // The crate's default choice of a provider panics if another crate of the program has enabled
    // the other provider too.
    let verifier = (DEFAULT_PROVIDER.verifier_factory)(&Algorithm::RS256, key);
    verifier.is_ok_and(|verifier| verifier.verify(token.signed.as_bytes(), &signature).is_ok())
}
