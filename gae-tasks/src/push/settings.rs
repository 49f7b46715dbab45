//! What a service is made from, and what it asks of a request before anything else.

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

/// What a service is made from.
#[derive(Debug)]
pub(crate) struct ServiceSettings {
    pub(crate) registry: Arc<Registry>,
    pub(crate) dispatcher: Dispatcher,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) verifiers: AnyOf,
    pub(crate) sink: Sink,
    /// The queue, as the client has it: it stores the copies of tasks that are postponed.
    pub(crate) queue: Arc<dyn Backend>,
    /// What stands before `/{kind}` in a task's URL.
    pub(crate) prefix: String,
    /// Whether a router has stripped the prefix from the paths that come here.
    pub(crate) is_nested: bool,
    pub(crate) capacity: Arc<Capacity>,
    pub(crate) max_body: usize,
    /// The most bytes of a payload that is loaded from a payload store.
    pub(crate) max_stored_payload: u64,
    pub(crate) body_time: Duration,
    pub(crate) give_up: Duration,
    /// The requests that were refused.
    pub(crate) refusals: Refusals,
    /// Whether it was logged that the client's backend stores no copies.
    pub(crate) has_warned: AtomicBool,
}

impl ServiceSettings {
    /// What follows the prefix in a request's path; `None` if the path is not under it.
    pub(super) fn under_prefix<'a>(&self, path: &'a str) -> Option<&'a str> {
        let path = if self.is_nested { path } else { path.strip_prefix(self.prefix.as_str())? };
        path.strip_prefix('/')
    }

    /// Whether a text can be a kind.
    pub(super) fn is_kind(&self, kind: &str) -> bool {
        // What is known needs no look at its letters.
        self.registry.by_kind(kind).is_some() || Kind::new(kind).is_ok()
    }

    /// The proof that a request comes from the queue.
    pub(super) async fn prove(&self, parts: &Parts) -> Result<Verified, Refused> {
        let verified = self.verifiers.verify(parts).await?;
        request::check_once(&parts.headers, verified.headers)?;
        Ok(verified)
    }
}
