//! Which trace a task belongs to: the caller's, as a hook of the user's tells it, or that of the running task.

use std::fmt;
use std::sync::Arc;

use super::{Client, ClientBuilder};
use crate::attributes::is_traceparent;
use crate::context::Ambient;
use crate::log;

/// Tells the trace that the calling code belongs to.
#[derive(Clone, Default)]
pub(super) struct TraceHook(Option<Arc<dyn Fn() -> Option<String> + Send + Sync>>);

impl ClientBuilder {
    /// Asks `hook` at every `defer`, on the thread that polls it, for the current trace: the value of a header
    /// `traceparent` of W3C's [Trace Context](https://www.w3.org/TR/trace-context/#traceparent-header).
    ///
    /// It travels beside the task, is a field of the span of every attempt, and handlers read it with
    /// [`TaskContext::traceparent`](crate::TaskContext::traceparent). Where the hook gives none, what a handler defers
    /// belongs to the trace of its own task. A value that is no `traceparent` is left out, with a warning.
    pub fn trace_context(mut self, hook: impl Fn() -> Option<String> + Send + Sync + 'static) -> Self {
        self.trace = TraceHook(Some(Arc::new(hook)));
        self
    }
}

impl Client {
    /// The trace that a task belongs to which is deferred here and now.
    pub(crate) fn traceparent(&self) -> Option<String> {
        let told = self.0.trace.0.as_ref().and_then(|hook| hook());
        let told = told.filter(|text| {
            let is_one = is_traceparent(text);
            if !is_one {
                log::say(|| {
                    tracing::warn!("`trace_context` gave what is no `traceparent`: the task belongs to no such trace");
                });
            }
            is_one
        });
        told.or_else(|| Ambient::with(|ambient| Some(ambient.context.as_ref()?.traceparent()?.to_owned())).flatten())
    }
}

impl fmt::Debug for TraceHook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "TraceHook" } else { "no TraceHook" })
    }
}
