//! Sets up `Oidc`.

use std::sync::Arc;
use std::time::Duration;

use super::claims::Expected;
use super::keys::Keys;
use super::{Inner, KeyEndpoint, KeySource, Oidc};
use crate::clock::{Clock, SystemClock};
use crate::error::{Error, no_problems};
use crate::push::verify::token::Accounts;
use crate::time::readable;

/// The usual difference between the clocks of two machines.
const LEEWAY: Duration = Duration::from_secs(10);

/// The greatest leeway: a greater one would make the check of times useless.
const MAX_LEEWAY: Duration = Duration::from_secs(300);

/// The pause after one fetch of keys before another fetch for an unknown key.
const REFRESH_INTERVAL: Duration = Duration::from_secs(10);

/// Sets up an [`Oidc`]: at least one audience and one service account.
#[derive(Debug)]
#[must_use = "the verifier is not made until `build()`"]
pub struct OidcBuilder {
    expected: Expected,
    /// Google's keys if `None`.
    source: Option<Arc<dyn KeySource>>,
    clock: Arc<dyn Clock>,
    refresh_interval: Duration,
    reads_serverless: bool,
}

impl Oidc {
    /// Accepts tokens of [Google](https://accounts.google.com/.well-known/openid-configuration):
    /// from Cloud Tasks, Cloud Scheduler, and anybody who may act for a service account.
    pub fn google() -> OidcBuilder {
        OidcBuilder::google()
    }

    /// Accepts tokens of another issuer, whose name is exactly `issuer`, signed with the keys of
    /// `keys`: for local servers and tests.
    pub fn issued_by(issuer: impl Into<String>, keys: impl KeySource) -> OidcBuilder {
        OidcBuilder::issued_by(issuer.into(), Arc::new(keys))
    }
}

impl OidcBuilder {
    fn google() -> Self {
        Self::new(
            vec!["https://accounts.google.com".to_owned(), "accounts.google.com".to_owned()],
            None,
        )
    }

    fn issued_by(issuer: String, source: Arc<dyn KeySource>) -> Self {
        Self::new(vec![issuer], Some(source))
    }

    fn new(issuers: Vec<String>, source: Option<Arc<dyn KeySource>>) -> Self {
        let expected = Expected {
            issuers,
            audiences: Vec::new(),
            accounts: Accounts::default(),
            leeway: LEEWAY,
        };
        let clock = Arc::new(SystemClock);
        Self {
            expected,
            source,
            clock,
            refresh_interval: REFRESH_INTERVAL,
            reads_serverless: false,
        }
    }

    /// Adds an audience that a token may have, compared exactly.
    ///
    /// Cloud Tasks sends the audience of the task's `oidcToken`, or by default the full URL that it
    /// calls: set one explicitly.
    pub fn audience(mut self, audience: impl Into<String>) -> Self {
        self.expected.audiences.push(audience.into());
        self
    }

    /// Adds the e-mail of a service account that may call, compared exactly.
    pub fn service_account(mut self, email: impl Into<String>) -> Self {
        self.expected.accounts.add(email.into());
        self
    }

    /// Sets how far the clocks of the issuer and this machine may differ; 10 seconds by default, at
    /// most 5 minutes.
    pub fn leeway(mut self, leeway: Duration) -> Self {
        self.expected.leeway = leeway;
        self
    }

    /// Sets the least time between two fetches of keys that unknown keys cause; 10 seconds by
    /// default, 1 second to 1 hour.
    ///
    /// The interval bounds the fetches that strangers can cause. If an issuer signs with a new key
    /// as soon as it publishes the key (Google publishes days ahead), its tokens are refused for
    /// this time (for 30 seconds if many unknown ids are tried), and the queue retries.
    pub fn refresh_interval(mut self, interval: Duration) -> Self {
        self.refresh_interval = interval;
        self
    }

    /// Reads `X-Serverless-Authorization` if there is no `Authorization: Bearer`: for callers that
    /// need `Authorization` for something else.
    pub fn serverless_authorization(mut self) -> Self {
        self.reads_serverless = true;
        self
    }

    /// Sets the clock; the machine's clock by default.
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// Builds the verifier. No key is fetched before the first token.
    ///
    /// # Errors
    /// [`Error::Misconfigured`] with all problems: no audience, no service account, a value out of
    /// its range.
    pub fn build(self) -> Result<Oidc, Error> {
        no_problems(self.problems())?;
        let source = match self.source {
            Some(source) => source,
            None => Arc::new(KeyEndpoint::new(KeyEndpoint::GOOGLE)?),
        };
        let keys = Keys::new(source, Arc::clone(&self.clock), self.refresh_interval);
        let (expected, clock, reads_serverless) =
            (self.expected, self.clock, self.reads_serverless);
        Ok(Oidc(Arc::new(Inner { expected, keys, clock, reads_serverless })))
    }

    fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        let expected = &self.expected;
        if expected.audiences.is_empty() || expected.audiences.iter().any(String::is_empty) {
            problems.push(
                "OIDC: no audience: add `.audience(..)`, which tokens must be for".to_owned(),
            );
        }
        if expected.issuers.iter().any(String::is_empty) {
            problems.push("OIDC: the issuer's name is empty".to_owned());
        }
        if expected.accounts.is_empty() {
            problems.push(
                "OIDC: no service account: add `.service_account(..)`, or any Google account could \
                 call"
                    .to_owned(),
            );
        }
        problems.extend(
            expected
                .accounts
                .odd()
                .map(|email| format!("OIDC: `{email}` is not an e-mail address")),
        );
        if expected.leeway > MAX_LEEWAY {
            let (leeway, most) = (readable(expected.leeway), readable(MAX_LEEWAY));
            problems.push(format!("OIDC: the leeway is {leeway}: use at most {most}"));
        }
        if !(Duration::from_secs(1)..=Duration::from_secs(3600)).contains(&self.refresh_interval) {
            let interval = readable(self.refresh_interval);
            problems.push(format!("OIDC: the refresh interval is {interval}: use 1 s to 1 h"));
        }
        problems
    }
}
