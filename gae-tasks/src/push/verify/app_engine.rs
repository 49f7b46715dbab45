//! Tasks that App Engine's own front end hands over: its headers are the proof.

use http::request::Parts;
use http::{HeaderMap, HeaderName};

use super::{HeaderFamily, Refused, Verified, Verify, at_once, only};
use crate::backend::BoxFuture;
use crate::error::Error;

/// Believes the headers `X-AppEngine-QueueName` and `X-AppEngine-TaskName`, where App Engine's
/// front end stands before this program.
///
/// The front end [removes these
/// headers](https://cloud.google.com/appengine/docs/standard/reference/request-headers) from what
/// comes from outside, except from requests of the application's own administrators. Nothing else
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
/// // Anywhere else: the environment does not say so.
/// assert!(AppEngine::detect().is_err());
/// ```
#[derive(Debug, Clone)]
pub struct AppEngine {
    _by_constructor: (),
}

impl AppEngine {
    /// Where the environment of this process says that it runs on App Engine's standard
    /// environment: `GAE_ENV` is `standard` and `GAE_APPLICATION` or `GAE_SERVICE` is set, as
    /// [documented](https://cloud.google.com/appengine/docs/standard/python3/runtime#environment_variables).
    ///
    /// # Errors
    /// [`Error::Misconfigured`] elsewhere.
    pub fn detect() -> Result<Self, Error> {
        Self::detect_in(|name| std::env::var(name).ok())
    }

    /// [`detect`](Self::detect) in an environment that `variable` reads.
    ///
    /// # Errors
    /// [`Error::Misconfigured`] where that is not App Engine's.
    pub fn detect_in(variable: impl Fn(&str) -> Option<String>) -> Result<Self, Error> {
        let is_set = |name: &str| variable(name).is_some_and(|value| !value.is_empty());
        let is_standard = variable("GAE_ENV").as_deref() == Some("standard");
        if is_standard && (is_set("GAE_APPLICATION") || is_set("GAE_SERVICE")) {
            return Ok(Self { _by_constructor: () });
        }
        let problem = "this is not App Engine's standard environment (`GAE_ENV` is not `standard`, or neither \
                       `GAE_APPLICATION` nor `GAE_SERVICE` is set), so anybody could send its headers: verify \
                       tokens with `Oidc`, or say `AppEngine::assume_headers_are_stripped()` if something before \
                       this program removes `X-AppEngine-*` from what comes from outside";
        Err(Error::Misconfigured { problems: vec![problem.to_owned()] })
    }

    /// Whatever the environment says: something before this program removes `X-AppEngine-*` from
    /// what comes from outside, or nobody else can reach it (the local development server, tests).
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
}

fn check(headers: &HeaderMap) -> Result<Verified, Refused> {
    for name in ["x-appengine-queuename", "x-appengine-taskname"].map(HeaderName::from_static) {
        if only(headers, &name)?.is_none_or(|value| value.is_empty()) {
            return Err(Refused::new(format!("no header `{name}`")));
        }
    }
    Ok(Verified::new("App Engine").with_headers(HeaderFamily::AppEngine))
}
