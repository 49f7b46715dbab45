//! What a service is made from, and what it reads from the URL of a request.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize};
use std::time::Duration;

use http::Method;
use http::request::Parts;

use super::refused::Refusals;
use super::response::Answer;
use super::sink::Sink;
use super::verify::AnyOf;
use crate::backend::Backend;
use crate::clock::Clock;
use crate::dispatch::Dispatcher;
use crate::registry::Registry;
use crate::task::Kind;

/// What a service is made from.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) registry: Arc<Registry>,
    pub(crate) dispatcher: Dispatcher,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) verifiers: AnyOf,
    pub(crate) sink: Sink,
    /// The queue, as the client has it: it stores the copies of tasks that are postponed.
    pub(crate) queue: Arc<dyn Backend>,
    /// What stands before `/{kind}`; empty if a router strips it.
    pub(crate) prefix: String,
    pub(crate) concurrency: usize,
    pub(crate) max_body: usize,
    pub(crate) body_time: Duration,
    pub(crate) give_up: Duration,
    /// The requests that were refused.
    pub(crate) refusals: Refusals,
    /// How many requests are under way.
    pub(crate) running: Arc<AtomicUsize>,
    /// Whether it was logged that the client's backend stores no copies.
    pub(crate) has_warned: AtomicBool,
}

/// What a URL says.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place<'a> {
    /// For people, and for requests that are not a task's.
    pub(super) kind: &'a str,
    /// Whether it has the prefix, or a known kind: else a router may have stripped the prefix, or it is anything.
    pub(super) is_ours: bool,
}

impl Plan {
    /// What the path and the method of a request tell.
    pub(super) fn place<'a>(&self, parts: &'a Parts) -> Result<Place<'a>, Answer> {
        let place = self.place_of(parts.uri.path()).ok_or(Answer::NoSuchPath)?;
        match parts.method {
            Method::POST => Ok(place),
            _ if place.is_ours => Err(Answer::NotPost),
            _ => Err(Answer::NoSuchPath),
        }
    }

    fn place_of<'a>(&self, path: &'a str) -> Option<Place<'a>> {
        // What is known needs no look at its letters.
        let is_known = |kind: &str| self.registry.by_kind(kind).is_some();
        let is_kind = |kind: &str| is_known(kind) || Kind::new(kind).is_ok();
        let after_prefix = path.strip_prefix(self.prefix.as_str()).and_then(|rest| rest.strip_prefix('/'));
        if let Some(kind) = after_prefix.filter(|kind| is_kind(kind)) {
            return Some(Place { kind, is_ours: true });
        }
        let kind = path.strip_prefix('/').filter(|kind| is_kind(kind))?;
        Some(Place { kind, is_ours: is_known(kind) })
    }
}
