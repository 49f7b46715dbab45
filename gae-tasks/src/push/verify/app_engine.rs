//! Verifies tasks that App Engine's front end delivers: its headers are the proof.

use http::request::Parts;
use http::{HeaderMap, HeaderName};

use super::{HeaderFamily, Refused, Verified, Verify, at_once, only};
use crate::backend::BoxFuture;
use crate::error::Error;

/// Accepts requests with the headers `X-AppEngine-QueueName` and `X-AppEngine-TaskName`, if App
/// Engine's front end stands before this program.
///
/// The front end [removes these
/// headers](https://cloud.google.com/appengine/docs/standard/reference/request-headers) from
/// outside requests, except those of the application's own administrators. So it does with
/// `X-Appengine-Cron`, the proof of its cron service. No other platform
/// removes them: on Cloud Run, on a cluster, on a plain host and on the local development server
/// anybody can send them.
///
/// ```
/// use gae_tasks::push::verify::AppEngine;
///
/// let on_app_engine = AppEngine::detect_in(|name| match name {
///     "GAE_ENV" => Some("standard".to_owned()),
///     "GAE_SERVICE" => Some("default".to_owned()),
///     _ => None,
/// });
/// assert!(on_app_engine.is_ok());
/// // Anywhere else the environment lacks these variables.
/// assert!(AppEngine::detect().is_err());
/// ```
#[derive(Debug, Clone)]
pub struct AppEngine {
    _by_constructor: (),
}

impl AppEngine {
    /// Creates the verifier if the environment of this process is App Engine's standard
    /// environment: `GAE_ENV` is `standard` and `GAE_APPLICATION` or `GAE_SERVICE` is set, as
    /// [documented](https://cloud.google.com/appengine/docs/standard/python3/runtime#environment_variables).
    ///
    /// # Errors
    /// [`Error::Misconfigured`] in any other environment.
    pub fn detect() -> Result<Self, Error> {
        Self::detect_in(|name| std::env::var(name).ok())
    }

    /// Like [`detect`](Self::detect), for an environment that `variable` reads.
    ///
    /// # Errors
    /// [`Error::Misconfigured`] if the environment is not App Engine's.
    pub fn detect_in(variable: impl Fn(&str) -> Option<String>) -> Result<Self, Error> {
        let is_set = |name: &str| variable(name).is_some_and(|value| !value.is_empty());
        let is_standard = variable("GAE_ENV").as_deref() == Some("standard");
        if is_standard && (is_set("GAE_APPLICATION") || is_set("GAE_SERVICE")) {
            return Ok(Self { _by_constructor: () });
        }
        let problem = "this is not App Engine's standard environment (`GAE_ENV` is not `standard`, \
                       or neither `GAE_APPLICATION` nor `GAE_SERVICE` is set), so anybody could \
                       send its headers: verify tokens with `Oidc`, or call \
                       `AppEngine::assume_headers_are_stripped()` if a proxy before this program \
                       removes `X-AppEngine-*` from outside requests";
        Err(Error::Misconfigured { problems: vec![problem.to_owned()] })
    }

    /// Creates the verifier in any environment. The caller guarantees that a proxy before this
    /// program removes `X-AppEngine-*` from outside requests, or that nobody else can reach the
    /// program (the local development server, tests).
    pub fn assume_headers_are_stripped() -> Self {
        Self { _by_constructor: () }
    }
}

impl Verify for AppEngine {
    fn verify<'a>(&'a self, request: &'a Parts) -> BoxFuture<'a, Result<Verified, Refused>> {
        at_once(
            check(&request.headers)
                .map_err(|refused| Refused::new(format!("App Engine: {refused}"))),
        )
    }

    fn is_cron(&self, request: &Parts) -> bool {
        let value = only(&request.headers, &HeaderName::from_static("x-appengine-cron"));
        matches!(value, Ok(Some(value)) if value == "true")
    }
}

fn check(headers: &HeaderMap) -> Result<Verified, Refused> {
    for name in ["x-appengine-queuename", "x-appengine-taskname"].map(HeaderName::from_static) {
        if only(headers, &name)?.is_none_or(|value| value.is_empty()) {
            return Err(Refused::new(format!("no header `{name}`")));
        }
    }
    Ok(Verified::new("App Engine").with_headers(HeaderFamily::AppEngine))
}
