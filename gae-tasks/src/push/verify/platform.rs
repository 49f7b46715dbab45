//! Verifies requests that the platform has already authenticated.

use http::header::{AUTHORIZATION, HeaderName};
use http::request::Parts;

use super::token::{Accounts, REMOVED_SIGNATURE, SERVERLESS_AUTHORIZATION, Unread, bearer};
use super::{Refused, Verified, Verify, at_once};
use crate::backend::BoxFuture;

/// Accepts requests that the platform let through: Cloud Run with its check of callers on.
///
/// This program cannot verify such a request itself: [Cloud Run replaces the signature of the token
/// with
/// `SIGNATURE_REMOVED_BY_GOOGLE`](https://cloud.google.com/run/docs/authenticating/service-to-service).
/// A request without a token, or with a signature in its token, did not pass the check and is
/// refused. The text is not secret, so **never use this verifier if a request can arrive in another
/// way**: at a service that allows unauthenticated calls, or at a port that is reachable from the
/// network.
///
/// With [`service_account`](Self::service_account) the e-mail in the token, which the platform has
/// verified, is compared too: everybody else who may call the service is refused. Beside other
/// verifiers an account is required, as one accepting verifier is enough.
///
/// ```
/// use gae_tasks::push::verify::PlatformAuthenticated;
///
/// let verify = PlatformAuthenticated::whoever_gets_here_was_checked()
///     .service_account("queue@my-project.iam.gserviceaccount.com");
/// ```
#[derive(Debug, Clone)]
pub struct PlatformAuthenticated {
    accounts: Accounts,
    reads_serverless: bool,
}

impl PlatformAuthenticated {
    /// Creates the verifier. The caller guarantees that every request that reaches this program was
    /// authenticated.
    pub fn whoever_gets_here_was_checked() -> Self {
        Self { accounts: Accounts::default(), reads_serverless: false }
    }

    /// Accepts only tokens of this service account (several may be added) whose `email_verified` is
    /// true. The e-mail is compared exactly.
    pub fn service_account(mut self, email: impl Into<String>) -> Self {
        self.accounts.add(email.into());
        self
    }

    /// Accepts callers' tokens in `X-Serverless-Authorization`.
    ///
    /// Cloud Run [checks only this
    /// header](https://cloud.google.com/run/docs/authenticating/service-to-service) if it is sent,
    /// so it is preferred to `Authorization` here. Without this setting, a request with the header
    /// is refused: its `Authorization` was not verified.
    pub fn serverless_authorization(mut self) -> Self {
        self.reads_serverless = true;
        self
    }

    fn check(&self, request: &Parts) -> Result<Verified, Refused> {
        let verified = Verified::new("platform");
        let token = bearer(&request.headers, &self.header(request)?)?;
        let token = token.ok_or_else(|| {
            Refused::new("no `Bearer` token in the header that the platform checks")
        })?;
        let token = Unread::cut(token)?;
        if !token.is_checked_by_platform() {
            return Err(Refused::new(format!(
                "the token's signature is not `{REMOVED_SIGNATURE}`, so the platform has not \
                 checked the token: require authentication in Cloud Run, or use `Oidc`"
            )));
        }
        if self.accounts.is_empty() {
            return Ok(verified);
        }
        Ok(verified.with_subject(self.accounts.check(&token.claims()?)?))
    }

    /// The header that the platform has checked.
    fn header(&self, request: &Parts) -> Result<HeaderName, Refused> {
        match (request.headers.contains_key(SERVERLESS_AUTHORIZATION), self.reads_serverless) {
            (false, _) => Ok(AUTHORIZATION),
            (true, true) => Ok(SERVERLESS_AUTHORIZATION),
            (true, false) => Err(Refused::new("`X-Serverless-Authorization` is not expected")),
        }
    }
}

impl Verify for PlatformAuthenticated {
    fn verify<'a>(&'a self, request: &'a Parts) -> BoxFuture<'a, Result<Verified, Refused>> {
        let answer = self.check(request);
        at_once(
            answer.map_err(|refused| {
                Refused::new(format!("authenticated by the platform: {refused}"))
            }),
        )
    }
    fn problem(&self, is_alone: bool) -> Option<String> {
        (!is_alone && self.accounts.is_empty()).then(|| NO_ACCOUNT.to_owned())
    }
}

const NO_ACCOUNT: &str = "`PlatformAuthenticated` without an account accepts every token that the \
                          platform let through, whatever the other verifiers refuse: add \
                          `.service_account(..)`, or remove the other verifiers";
