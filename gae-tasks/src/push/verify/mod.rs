//! Who may push tasks: a request is believed only if one of these can prove where it comes from.
//!
//! | verifier | where |
//! |---|---|
//! | [`AppEngine`] | behind the front end of App Engine, which strips its own headers from what comes from outside |
//! | `Oidc` (feature `oidc`) | anywhere: the queue signs each request with a token of a service account |
//! | [`PlatformAuthenticated`] | Cloud Run with its own check on, which takes the signature off the token |
//! | [`SharedSecret`] | queues that you run yourself, local servers, tests: see where it fits |
//! | [`AnyOf`] | more than one of them |
//!
//! The headers `X-CloudTasks-*` prove nothing: [they tell of the task, not of who
//! calls](https://cloud.google.com/tasks/docs/creating-http-target-tasks#handler).

mod any_of;
mod app_engine;
mod family;
#[cfg(feature = "oidc")]
mod oidc;
mod platform;
mod secret;
mod token;

pub use any_of::AnyOf;
pub use app_engine::AppEngine;
pub use family::HeaderFamily;
#[cfg(feature = "oidc")]
#[cfg_attr(docsrs, doc(cfg(feature = "oidc")))]
pub use oidc::{FetchedKeys, KeyEndpoint, KeySource, Oidc, OidcBuilder};
pub use platform::PlatformAuthenticated;
pub use secret::SharedSecret;

use std::fmt;
use std::sync::Arc;

use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue};

use crate::backend::BoxFuture;

/// Proves that a request comes from the queue. Nothing of the body has been read by then.
///
/// ```
/// use gae_tasks::backend::BoxFuture;
/// use gae_tasks::push::verify::{Refused, Verified, Verify};
///
/// /// Trusts whoever comes through a local socket.
/// #[derive(Debug)]
/// struct LocalSocket;
///
/// impl Verify for LocalSocket {
///     fn verify<'a>(&'a self, request: &'a http::request::Parts) -> BoxFuture<'a, Result<Verified, Refused>> {
///         let is_local = request.extensions.get::<std::os::unix::net::SocketAddr>().is_some();
///         let answer = if is_local { Ok(Verified::new("local socket")) } else { Err(Refused::new("it came by TCP")) };
///         Box::pin(std::future::ready(answer))
///     }
/// }
/// ```
pub trait Verify: fmt::Debug + Send + Sync + 'static {
    /// Whether the request is authentic.
    ///
    /// # Errors
    /// Why it is not; the text is logged, so it must hold no token and no secret.
    fn verify<'a>(&'a self, request: &'a Parts) -> BoxFuture<'a, Result<Verified, Refused>>;

    /// Whether this header brings the proof, and so is in no log. Headers named after tokens, keys,
    /// cookies and the like are in none anyway.
    fn is_secret(&self, header: &HeaderName) -> bool {
        _ = header;
        false
    }

    /// Why a [`PushService`](super::PushService) must not be built with this verifier, if there is
    /// a reason; `is_alone` is false where the service has other verifiers too.
    fn problem(&self, is_alone: bool) -> Option<String> {
        _ = is_alone;
        None
    }
}

impl<V: Verify + ?Sized> Verify for Box<V> {
    fn verify<'a>(&'a self, request: &'a Parts) -> BoxFuture<'a, Result<Verified, Refused>> {
        self.as_ref().verify(request)
    }

    fn is_secret(&self, header: &HeaderName) -> bool {
        self.as_ref().is_secret(header)
    }

    fn problem(&self, is_alone: bool) -> Option<String> {
        self.as_ref().problem(is_alone)
    }
}

impl<V: Verify + ?Sized> Verify for Arc<V> {
    fn verify<'a>(&'a self, request: &'a Parts) -> BoxFuture<'a, Result<Verified, Refused>> {
        self.as_ref().verify(request)
    }

    fn is_secret(&self, header: &HeaderName) -> bool {
        self.as_ref().is_secret(header)
    }

    fn problem(&self, is_alone: bool) -> Option<String> {
        self.as_ref().problem(is_alone)
    }
}

/// The proof that a request comes from the queue; in the extensions of what a
/// [`PushService`](super::PushService) answers.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Verified {
    /// By what it was proven.
    pub by: &'static str,
    /// Who it is from, where that is told: the e-mail of a service account.
    pub subject: Option<String>,
    /// Which headers describe the task and its attempt; those of the other family are not read.
    pub headers: HeaderFamily,
}

impl Verified {
    /// Proven by `by`, described by `X-CloudTasks-*`.
    pub const fn new(by: &'static str) -> Self {
        Self { by, subject: None, headers: HeaderFamily::CloudTasks }
    }

    /// Described by the headers of this family.
    pub const fn with_headers(mut self, headers: HeaderFamily) -> Self {
        self.headers = headers;
        self
    }

    /// From `subject`.
    pub fn with_subject(mut self, subject: impl Into<String>) -> Self {
        self.subject = Some(subject.into());
        self
    }
}

/// Why a request is not believed. Without a token and without a secret: it is logged.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct Refused {
    reason: String,
}

impl Refused {
    /// Refused for this reason.
    pub fn new(reason: impl Into<String>) -> Self {
        Self { reason: reason.into() }
    }
}

/// The only value of a header; `None` if the header is missing.
///
/// # Errors
/// The header is there more than once: two proxies may disagree about which of its values counts.
pub(in crate::push) fn only<'a>(
    headers: &'a HeaderMap,
    name: &HeaderName,
) -> Result<Option<&'a HeaderValue>, Refused> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (value, None) => Ok(value),
        (_, Some(_)) => Err(Refused::new(format!("header `{name}` is there more than once"))),
    }
}

/// An answer that needs no waiting.
fn at_once<'a>(answer: Result<Verified, Refused>) -> BoxFuture<'a, Result<Verified, Refused>> {
    Box::pin(std::future::ready(answer))
}
