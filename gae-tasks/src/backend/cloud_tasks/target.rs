//! The target of a task's request: a service of App Engine, or a URL.

use std::collections::HashMap;
use std::time::Duration;

use bytes::Bytes;
use google_cloud_tasks_v2::model::task::MessageType;
use google_cloud_tasks_v2::model::{
    AppEngineHttpRequest, AppEngineRouting, HttpMethod, HttpRequest, OidcToken,
};

use super::limits::NAME;
use crate::attributes;
use crate::error::Error;

/// The target of requests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Target {
    /// A service of the project's App Engine application.
    AppEngine(Routing),
    /// A URL.
    Http(Http),
}

/// A service of App Engine, and a version of it. App Engine chooses parts that are not named at the
/// time of the attempt.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Routing {
    pub(super) service: Option<String>,
    pub(super) version: Option<String>,
}

/// The root of a server, and the token that its requests carry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Http {
    /// The root URL, without a slash at its end.
    pub(super) base: String,
    pub(super) token: Option<Token>,
}

/// The identity that requests are made with, and their audience.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Token {
    pub(super) service_account: String,
    pub(super) audience: String,
}

/// The parts of a request to any target.
pub(super) struct Parts {
    /// The path, which begins with a slash.
    pub(super) path: String,
    pub(super) headers: HashMap<String, String>,
    pub(super) body: Bytes,
}

impl Target {
    /// Returns the request of a task, which may have its own `wanted` target.
    ///
    /// # Errors
    /// A task names a service, but tasks go to a URL.
    pub(super) fn request(
        &self,
        parts: Parts,
        wanted: Option<attributes::Target>,
    ) -> Result<MessageType, Error> {
        match (self, wanted) {
            (Self::AppEngine(routing), None) => Ok(app_engine(parts, routing.clone())),
            (Self::AppEngine(_), Some(attributes::Target { service, version })) => {
                Ok(app_engine(parts, Routing { service: Some(service), version }))
            }
            (Self::Http(http), None) => Ok(http.request(parts)),
            (Self::Http(_), Some(_)) => Err(Error::Unsupported {
                backend: NAME,
                what: "`.target(..)` where tasks go to a URL, not to App Engine",
            }),
        }
    }

    /// Returns the shortest and the longest dispatch deadline. Source: `Task.dispatch_deadline` of
    /// the API.
    pub(super) const fn deadlines(&self) -> (Duration, Duration) {
        let most = match self {
            Self::AppEngine(_) => 24 * 60 * 60 + 15,
            Self::Http(_) => 30 * 60,
        };
        (Duration::from_secs(15), Duration::from_secs(most))
    }

    /// Returns the service account that signs the requests' tokens.
    pub(super) fn service_account(&self) -> Option<&str> {
        match self {
            Self::AppEngine(_) => None,
            Self::Http(http) => http.token.as_ref().map(|token| token.service_account.as_str()),
        }
    }
}

fn app_engine(parts: Parts, routing: Routing) -> MessageType {
    let request = AppEngineHttpRequest::new()
        .set_http_method(HttpMethod::Post)
        .set_relative_uri(parts.path)
        .set_headers(parts.headers)
        .set_body(parts.body);
    let request = match routing {
        Routing { service: None, version: None } => request,
        Routing { service, version } => request.set_app_engine_routing(
            AppEngineRouting::new()
                .set_service(service.unwrap_or_default())
                .set_version(version.unwrap_or_default()),
        ),
    };
    MessageType::AppEngineHttpRequest(Box::new(request))
}

impl Http {
    fn request(&self, parts: Parts) -> MessageType {
        let request = HttpRequest::new()
            .set_http_method(HttpMethod::Post)
            .set_url(format!("{}{}", self.base, parts.path))
            .set_headers(parts.headers)
            .set_body(parts.body);
        let request = match &self.token {
            None => request,
            Some(Token { service_account, audience }) => request.set_oidc_token(
                OidcToken::new().set_service_account_email(service_account).set_audience(audience),
            ),
        };
        MessageType::HttpRequest(Box::new(request))
    }
}

/// The App Engine service and version of the running code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Origin {
    pub(super) service: String,
    pub(super) version: String,
}

/// App Engine's name of the service that every application has.
const DEFAULT_SERVICE: &str = "default";

impl Origin {
    /// Returns where tasks deferred here run: in the background service if this is the default
    /// service, otherwise in this service itself; in either case in the same version, which knows
    /// the tasks.
    pub(super) fn routing(self, background: Option<String>) -> Routing {
        let service = match background {
            Some(background) if self.service == DEFAULT_SERVICE => background,
            _ => self.service,
        };
        Routing { service: Some(service), version: Some(self.version) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn routing(service: &str, background: Option<&str>) -> Routing {
        let origin = Origin { service: service.to_owned(), version: "v7".to_owned() };
        origin.routing(background.map(ToOwned::to_owned))
    }

    fn to(service: &str) -> Routing {
        Routing { service: Some(service.to_owned()), version: Some("v7".to_owned()) }
    }

    #[test]
    fn tasks_of_the_default_service_go_to_the_background_service_at_the_same_version() {
        assert_eq!(routing("default", Some("worker")), to("worker"));
        assert_eq!(routing("default", None), to("default"));
    }

    #[test]
    fn other_services_stay_within_themselves() {
        assert_eq!(routing("reports", Some("worker")), to("reports"));
        assert_eq!(routing("worker", Some("worker")), to("worker"));
    }
}
