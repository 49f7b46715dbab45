//! Requests that the platform has authenticated before they came here.

use http::header::{AUTHORIZATION, HeaderName};
use http::request::Parts;

use super::token::{Accounts, SERVERLESS_AUTHORIZATION, Unread, bearer};
use super::{Refused, Verified, Verify, at_once};
use crate::backend::BoxFuture;

/// Believes every request, because the platform lets nobody else through: Cloud Run whose check of the invoker is on.
///
/// There this program cannot verify anything itself: [Cloud Run takes the signature off the
/// token](https://cloud.google.com/run/docs/authenticating/service-to-service). **Never use it where a request can
/// come by another way**: a service that allows unauthenticated calls, a port that the network can reach.
///
/// With [`service_account`](Self::service_account) the e-mail in the token, which the platform has verified, is
/// compared too: everybody else who may call the service is refused.
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
    /// The caller vouches for it that whoever reaches this program was authenticated.
    pub fn whoever_gets_here_was_checked() -> Self {
        Self { accounts: Accounts::default(), reads_serverless: false }
    }

    /// Believes only tokens of this service account (or of another one that is given too), whose `email_verified` is
    /// true. The e-mail is compared letter by letter.
    pub fn service_account(mut self, email: impl Into<String>) -> Self {
        self.accounts.add(email.into());
        self
    }

    /// The callers' tokens may be in `X-Serverless-Authorization`.
    ///
    /// Cloud Run [checks that header only](https://cloud.google.com/run/docs/authenticating/service-to-service) where it
    /// is sent, so it comes before `Authorization` here. Where this is not set, a request that has it is refused if an
    /// e-mail is to be compared: what stands in `Authorization` then was verified by nobody.
    pub fn serverless_authorization(mut self) -> Self {
        self.reads_serverless = true;
        self
    }

    fn check(&self, request: &Parts) -> Result<Verified, Refused> {
        let verified = Verified::new("platform");
        if self.accounts.is_empty() {
            return Ok(verified);
        }
        let token = bearer(&request.headers, &self.header(request)?)?;
        let token = token.ok_or_else(|| Refused::new("no `Bearer` token in the header that the platform checks"))?;
        let claims = Unread::cut(token)?.claims()?;
        Ok(verified.with_subject(self.accounts.check(&claims)?))
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
        at_once(answer.map_err(|refused| Refused::new(format!("authenticated by the platform: {refused}"))))
    }
}
