//! Verifiers: a request is accepted only if one of them can prove that it comes from the queue.
//!
//! | verifier | where |
//! |---|---|
//! | [`AppEngine`] | behind the front end of App Engine, which removes its own headers from outside requests |
//! | `Oidc` (feature `oidc`) | anywhere: the queue signs each request with a token of a service account |
//! | [`PlatformAuthenticated`] | Cloud Run with its own check of callers on, which removes the token's signature |
//! | [`SharedSecret`] | queue servers of your own, local servers, tests |
//! | [`AnyOf`] | any of several verifiers |
//!
//! The headers `X-CloudTasks-*` prove nothing: [they describe the task, not the
//! caller](https://cloud.google.com/tasks/docs/creating-http-target-tasks#handler).

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

/// Proves that a request comes from the queue, before any of its body is read.
///
/// ```
/// use gae_tasks::backend::BoxFuture;
/// use gae_tasks::push::verify::{Refused, Verified, Verify};
///
/// /// Trusts everyone who connects through a local socket.
/// #[derive(Debug)]
/// struct LocalSocket;
///
/// impl Verify for LocalSocket {
///     fn verify<'a>(
///         &'a self,
///         request: &'a http::request::Parts,
///     ) -> BoxFuture<'a, Result<Verified, Refused>> {
///         let is_local = request.extensions.get::<std::os::unix::net::SocketAddr>().is_some();
///         let answer = match is_local {
///             true => Ok(Verified::new("local socket")),
///             false => Err(Refused::new("the request came by TCP")),
///         };
///         Box::pin(std::future::ready(answer))
///     }
/// }
/// ```
pub trait Verify: fmt::Debug + Send + Sync + 'static {
    /// Verifies that the request is authentic.
    ///
    /// # Errors
    /// If the request is not authentic: the reason, which is logged, so it must contain no token
    /// and no secret.
    fn verify<'a>(&'a self, request: &'a Parts) -> BoxFuture<'a, Result<Verified, Refused>>;

    /// Whether the request is proven to come from App Engine's cron service, which sends no task.
    fn is_cron(&self, request: &Parts) -> bool {
        _ = request;
        false
    }

    /// Whether this header contains the proof, and so must not be logged. Headers named after
    /// tokens, keys, cookies and the like are never logged.
    fn is_secret(&self, header: &HeaderName) -> bool {
        _ = header;
        false
    }

    /// Why a [`PushService`](super::PushService) must not be built with this verifier, if there is
    /// a reason; `is_alone` is false if the service has other verifiers too.
    fn problem(&self, is_alone: bool) -> Option<String> {
        _ = is_alone;
        None
    }
}

impl<V: Verify + ?Sized> Verify for Box<V> {
    fn verify<'a>(&'a self, request: &'a Parts) -> BoxFuture<'a, Result<Verified, Refused>> {
        self.as_ref().verify(request)
    }

    fn is_cron(&self, request: &Parts) -> bool {
        self.as_ref().is_cron(request)
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

    fn is_cron(&self, request: &Parts) -> bool {
        self.as_ref().is_cron(request)
    }

    fn is_secret(&self, header: &HeaderName) -> bool {
        self.as_ref().is_secret(header)
    }

    fn problem(&self, is_alone: bool) -> Option<String> {
        self.as_ref().problem(is_alone)
    }
}

/// The proof that a request comes from the queue; found in the extensions of a
/// [`PushService`](super::PushService)'s response.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Verified {
    /// The verifier that proved it.
    pub by: &'static str,
    /// The caller, if known: the e-mail of a service account.
    pub subject: Option<String>,
    /// The headers that describe the task and its attempt; headers of the other family are not
    /// read.
    pub headers: HeaderFamily,
}

impl Verified {
    /// Creates the proof by the verifier `by`, with the headers `X-CloudTasks-*`.
    pub const fn new(by: &'static str) -> Self {
        Self { by, subject: None, headers: HeaderFamily::CloudTasks }
    }

    /// Sets the family of headers that describe the task.
    pub const fn with_headers(mut self, headers: HeaderFamily) -> Self {
        self.headers = headers;
        self
    }

    /// Sets the caller.
    pub fn with_subject(mut self, subject: impl Into<String>) -> Self {
        self.subject = Some(subject.into());
        self
    }
}

/// The reason why a request is refused. It is logged, so it must contain no token and no secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct Refused {
    reason: String,
}

impl Refused {
    /// Creates a refusal with this reason.
    pub fn new(reason: impl Into<String>) -> Self {
        Self { reason: reason.into() }
    }
}

/// Returns the only value of a header; `None` if the header is missing.
///
/// # Errors
/// If the header occurs more than once: two proxies may disagree about which value counts.
pub(in crate::push) fn only<'a>(
    headers: &'a HeaderMap,
    name: &HeaderName,
) -> Result<Option<&'a HeaderValue>, Refused> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (value, None) => Ok(value),
        (_, Some(_)) => Err(Refused::new(format!("header `{name}` occurs more than once"))),
    }
}

/// A result that is ready at once.
fn at_once<'a>(answer: Result<Verified, Refused>) -> BoxFuture<'a, Result<Verified, Refused>> {
    Box::pin(std::future::ready(answer))
}
