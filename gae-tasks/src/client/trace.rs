//! The trace of a deferred task: the caller's, as a hook of the user returns it, or the running
//! task's.

use std::fmt;
use std::sync::Arc;

use crate::attributes::is_traceparent;
use crate::context::TaskContext;
use crate::log;

/// A hook that returns the trace of the calling code.
#[derive(Clone, Default)]
pub(super) struct TraceHook(Option<Arc<dyn Fn() -> Option<String> + Send + Sync>>);

impl TraceHook {
    pub(super) fn new(hook: impl Fn() -> Option<String> + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(hook)))
    }

    /// The trace of a task that is deferred by the calling code.
    pub(super) fn traceparent(&self) -> Option<String> {
        let reported = self.0.as_ref().and_then(|hook| hook());
        let reported = reported.filter(|text| {
            let is_one = is_traceparent(text);
            if !is_one {
                log::say(|| {
                    tracing::warn!(
                        "`trace_context` returned an invalid `traceparent`, which is ignored"
                    );
                });
            }
            is_one
        });
        reported.or_else(|| {
            TaskContext::with_current(|context| Some(context.traceparent()?.to_owned())).flatten()
        })
    }
}

impl fmt::Debug for TraceHook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "TraceHook" } else { "no TraceHook" })
    }
}
