//! Verifies a secret that this program shares with a queue of your own.

use std::fmt;

use http::header::{AUTHORIZATION, HeaderName};
use http::request::Parts;
use subtle::{Choice, ConstantTimeEq};

use super::token::bearer;
use super::{HeaderFamily, Refused, Verified, Verify, at_once, only};
use crate::backend::BoxFuture;
use crate::error::Error;

/// Accepts requests with a secret in a header.
///
/// # Where it fits
///
/// Use a shared secret for queue servers that you run yourself, local servers and tests. Cloud
/// Tasks can send a secret too (`CloudTasks::builder(..).header(SharedSecret::HEADER, secret)`),
/// but stores it with each task: everybody who may list the queue's tasks can read the secret, and
/// a task keeps its secret for up to 31 days. On Google's platforms use `Oidc`,
/// [`AppEngine`](super::AppEngine) or [`PlatformAuthenticated`](super::PlatformAuthenticated),
/// which have nothing to leak or to rotate. The secret proves the caller and nothing else: without
/// HTTPS, anyone who reads the connection knows the secret.
///
/// Several secrets may be accepted at once, for a rotation: accept the new secret too, then send
/// the new one, and remove the old one when no stored task contains it any more.
///
/// Secrets are compared in constant time, so that answers reveal only the length of the secret.
/// `Debug` does not show the secrets.
///
/// ```
/// use gae_tasks::push::verify::SharedSecret;
///
/// # fn main() -> Result<(), gae_tasks::Error> {
/// let verify = SharedSecret::new("the secret of this year")?.or("the secret of next year")?;
/// assert!(!format!("{verify:?}").contains("year"));
/// assert!(SharedSecret::new("too short").is_err());
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct SharedSecret {
    header: HeaderName,
    secrets: Vec<Vec<u8>>,
}

impl SharedSecret {
    /// The header that contains the secret, unless [`header`](Self::header) names another header.
    pub const HEADER: &str = "x-gae-tasks-secret";

    /// The least length of a secret, in bytes. Use a random secret: `openssl rand -hex 32`.
    pub const MIN_BYTES: usize = 16;

    /// The greatest length of a secret, in bytes.
    pub const MAX_BYTES: usize = 1024;

    /// Accepts `secret`: 16 to 1,024 bytes of visible ASCII and inner spaces, as a header value can
    /// contain.
    ///
    /// # Errors
    /// [`Error::Misconfigured`] if the secret does not have this form.
    pub fn new(secret: impl Into<Vec<u8>>) -> Result<Self, Error> {
        Self { header: HeaderName::from_static(Self::HEADER), secrets: Vec::new() }.or(secret)
    }

    /// Accepts `secret` too, so that secrets can be changed without downtime.
    ///
    /// # Errors
    /// [`Error::Misconfigured`] if the secret does not have the form that [`new`](Self::new)
    /// requires.
    pub fn or(mut self, secret: impl Into<Vec<u8>>) -> Result<Self, Error> {
        let secret = secret.into();
        if let Some(problem) = problem(&secret) {
            return Err(Error::Misconfigured {
                problems: vec![format!("the shared secret {problem}")],
            });
        }
        self.secrets.push(secret);
        Ok(self)
    }

    /// Sets the header that contains the secret. In `authorization` the secret follows the word
    /// `Bearer`.
    ///
    /// # Errors
    /// [`Error::Misconfigured`] if `name` is not a valid header name.
    pub fn header(mut self, name: &str) -> Result<Self, Error> {
        self.header = name.parse().map_err(|_| Error::Misconfigured {
            problems: vec![format!(
                "`{}` is not a valid header name for the shared secret",
                name.escape_debug()
            )],
        })?;
        Ok(self)
    }

    fn check(&self, request: &Parts) -> Result<Verified, Refused> {
        let given = self.given(request)?;
        // All secrets are compared, whatever the first comparison says, so that the duration does
        // not reveal which secret matched.
        let is_one = self
            .secrets
            .iter()
            .fold(Choice::from(0), |found, secret| found | secret.as_slice().ct_eq(given));
        if !bool::from(is_one) {
            return Err(self.refused("does not contain the secret"));
        }
        // A caller with the secret may be either platform: only App Engine sends its own headers.
        let is_app_engine = request.headers.contains_key("x-appengine-queuename");
        let family = if is_app_engine { HeaderFamily::AppEngine } else { HeaderFamily::CloudTasks };
        Ok(Verified::new("shared secret").with_headers(family))
    }

    fn given<'a>(&self, request: &'a Parts) -> Result<&'a [u8], Refused> {
        if self.header == AUTHORIZATION {
            let token = bearer(&request.headers, &AUTHORIZATION)?;
            return Ok(token
                .ok_or_else(|| self.refused("is missing, or is not `Bearer`"))?
                .as_bytes());
        }
        let value = only(&request.headers, &self.header)?;
        Ok(value.ok_or_else(|| self.refused("is missing"))?.as_bytes())
    }

    fn refused(&self, problem: &str) -> Refused {
        Refused::new(format!("shared secret: header `{}` {problem}", self.header))
    }
}

impl fmt::Debug for SharedSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let secrets = self.secrets.len();
        f.debug_struct("SharedSecret")
            .field("header", &self.header)
            .field("secrets", &secrets)
            .finish()
    }
}

impl Verify for SharedSecret {
    fn verify<'a>(&'a self, request: &'a Parts) -> BoxFuture<'a, Result<Verified, Refused>> {
        at_once(self.check(request))
    }

    fn is_secret(&self, header: &HeaderName) -> bool {
        *header == self.header
    }
}

fn problem(secret: &[u8]) -> Option<String> {
    let (least, most) = (SharedSecret::MIN_BYTES, SharedSecret::MAX_BYTES);
    let is_visible = |byte: &u8| matches!(byte, b' '..=b'~');
    if !(least..=most).contains(&secret.len()) {
        return Some(format!(
            "has {} bytes: use {least} to {most}, for example from `openssl rand -hex 32`",
            secret.len()
        ));
    }
    // Header values are trimmed in transit: a secret with outer spaces would never match.
    let is_trimmed = secret.trim_ascii().len() == secret.len();
    (!is_trimmed || !secret.iter().all(is_visible)).then(|| {
        "has characters that a header value cannot contain: use letters and digits".to_owned()
    })
}
