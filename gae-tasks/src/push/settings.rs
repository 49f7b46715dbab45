//! The settings of a service, and the first checks of a request.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use http::request::Parts;

use super::refused::Refusals;
use super::request;
use super::room::Capacity;
use super::sink::Sink;
use super::verify::{AnyOf, Refused, Verified, Verify};
use crate::backend::Backend;
use crate::clock::Clock;
use crate::dispatch::Dispatcher;
use crate::registry::Registry;
use crate::task::Kind;
#[cfg(feature = "cron")]
use crate::worker::Declaration;

/// The settings of a service.
#[derive(Debug)]
pub(crate) struct ServiceSettings {
    pub(crate) registry: Arc<Registry>,
    pub(crate) dispatcher: Dispatcher,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) verifiers: AnyOf,
    pub(crate) sink: Sink,
    /// The queue, through the client's backend: stores the copies of postponed tasks.
    pub(crate) queue: Arc<dyn Backend>,
    /// The part before `/{kind}` of a task's URL path.
    pub(crate) prefix: String,
    /// Whether a router has stripped the prefix from the paths of requests.
    pub(crate) is_nested: bool,
    pub(crate) capacity: Arc<Capacity>,
    pub(crate) max_body: usize,
    /// The most bytes of a payload that is loaded from a payload store.
    pub(crate) max_stored_payload: u64,
    pub(crate) body_time: Duration,
    pub(crate) give_up: Duration,
    /// Counts the refused requests.
    pub(crate) refusals: Refusals,
    /// Whether the warning that the client's backend stores no copies was logged.
    pub(crate) has_warned: AtomicBool,
    /// The schedules of the program, which Cloud Scheduler ticks.
    #[cfg(feature = "cron")]
    pub(crate) declaration: Declaration,
}

impl ServiceSettings {
    /// The part of a request's path after the prefix; `None` if the path is not under the prefix.
    pub(super) fn under_prefix<'a>(&self, path: &'a str) -> Option<&'a str> {
        let path = if self.is_nested { path } else { path.strip_prefix(self.prefix.as_str())? };
        path.strip_prefix('/')
    }

    /// Whether a text is a valid kind.
    pub(super) fn is_kind(&self, kind: &str) -> bool {
        // A known kind is valid.
        self.registry.by_kind(kind).is_some() || Kind::new(kind).is_ok()
    }

    /// Proves that a request comes from the queue.
    pub(super) async fn prove(&self, parts: &Parts) -> Result<Verified, Refused> {
        let verified = self.verifiers.verify(parts).await?;
        request::check_once(&parts.headers, verified.headers)?;
        Ok(verified)
    }
}
