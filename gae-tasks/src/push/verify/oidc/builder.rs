//! What `Oidc` is told to expect.

use std::sync::Arc;
use std::time::Duration;

use super::claims::Expected;
use super::keys::Keys;
use super::{Inner, KeyEndpoint, KeySource, Oidc};
use crate::clock::{Clock, SystemClock};
use crate::error::{Error, no_problems};
use crate::push::verify::token::Accounts;
use crate::time::readable;

/// As clocks of machines differ, and not more.
const LEEWAY: Duration = Duration::from_secs(10);

/// The greatest leeway: more would be no check of time.
const MAX_LEEWAY: Duration = Duration::from_secs(300);

/// How long after one fetch of keys the next is made for a key that is not known.
const REFRESH_INTERVAL: Duration = Duration::from_secs(10);

/// Sets up an [`Oidc`]: at least one audience and one service account.
#[derive(Debug)]
#[must_use = "it verifies nothing until `build()`"]
pub struct OidcBuilder {
    expected: Expected,
    /// Google's, if none.
    source: Option<Arc<dyn KeySource>>,
    clock: Arc<dyn Clock>,
    refresh_interval: Duration,
    reads_serverless: bool,
}

impl Oidc {
    /// Tokens of [Google](https://accounts.google.com/.well-known/openid-configuration): of Cloud
    /// Tasks, of Cloud Scheduler, and of whoever may act for a service account.
    pub fn google() -> OidcBuilder {
        OidcBuilder::google()
    }

    /// Tokens of another issuer, whose name is `issuer` letter by letter, signed by the keys of
    /// `keys`: a local server, tests.
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

    /// Whom a token must be for, letter by letter; several may be given.
    ///
    /// Cloud Tasks takes the audience of the task's `oidcToken`, or else the full URL that it
    /// calls: set one explicitly.
    pub fn audience(mut self, audience: impl Into<String>) -> Self {
        self.expected.audiences.push(audience.into());
        self
    }

    /// The e-mail of a service account that may call, letter by letter; several may be given.
    pub fn service_account(mut self, email: impl Into<String>) -> Self {
        self.expected.accounts.add(email.into());
        self
    }

    /// How far the clocks of the issuer and of this machine may be apart; 10 seconds unless set, at
    /// most 5 minutes.
    pub fn leeway(mut self, leeway: Duration) -> Self {
        self.expected.leeway = leeway;
        self
    }

    /// How long after one fetch of keys the next one is made because of a key that is not known; 10
    /// seconds unless set, 1 second to 1 hour.
    ///
    /// This bounds what strangers can cause. An issuer that signs with a new key as soon as it
    /// publishes it (Google publishes days ahead) is refused for as long (for 30 seconds, where
    /// many unknown ids are tried), and the queue tries again.
    pub fn refresh_interval(mut self, interval: Duration) -> Self {
        self.refresh_interval = interval;
        self
    }

    /// Reads `X-Serverless-Authorization` where there is no `Authorization: Bearer`: for callers
    /// who need the latter for something else.
    pub fn serverless_authorization(mut self) -> Self {
        self.reads_serverless = true;
        self
    }

    /// What tells the time; the machine's clock unless set.
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// The verifier. No key is fetched before the first token.
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
            problems.push("OIDC: say with `.audience(..)` whom tokens must be for".to_owned());
        }
        if expected.issuers.iter().any(String::is_empty) {
            problems.push("OIDC: the issuer has no name".to_owned());
        }
        if expected.accounts.is_empty() {
            problems.push(
                "OIDC: say with `.service_account(..)` who may call: anybody can get a token"
                    .to_owned(),
            );
        }
        problems.extend(
            expected.accounts.odd().map(|email| format!("OIDC: `{email}` is no e-mail address")),
        );
        if expected.leeway > MAX_LEEWAY {
            let (leeway, most) = (readable(expected.leeway), readable(MAX_LEEWAY));
            problems.push(format!("OIDC: the leeway is {leeway}, the most is {most}"));
        }
        if !(Duration::from_secs(1)..=Duration::from_secs(3600)).contains(&self.refresh_interval) {
            let interval = readable(self.refresh_interval);
            problems.push(format!("OIDC: the refresh interval is {interval}: take 1 s to 1 h"));
        }
        problems
    }
}
