//! Log lines and spans whose panics are caught: if a log writer panics, the line is lost and the
//! work goes on.

use std::mem;

use tracing::Span;

use crate::unwind;

/// Writes a line to the log: `log::say(|| tracing::warn!(..))`.
///
/// A log writer may panic: `tracing_subscriber`'s does if standard error is a pipe without a
/// reader.
pub(crate) fn say(line: impl FnOnce()) {
    _ = unwind::catch(line);
}

/// A span to do work in.
#[derive(Debug)]
pub(crate) struct Scope(Span);

impl Scope {
    /// Creates the span that `span` returns.
    pub(crate) fn new(span: impl FnOnce() -> Span) -> Self {
        Self(unwind::catch(span).unwrap_or_else(|_| Span::none()))
    }

    /// Does `work` in the span.
    pub(crate) fn within<R>(&self, work: impl FnOnce() -> R) -> R {
        let _entered = Entered::new(&self.0);
        work()
    }
}

impl Drop for Scope {
    fn drop(&mut self) {
        unwind::discard(mem::replace(&mut self.0, Span::none()));
    }
}

/// Like [`tracing::span::Entered`], which panics if the log does.
struct Entered<'a>(&'a Span);

impl<'a> Entered<'a> {
    fn new(span: &'a Span) -> Self {
        say(|| _ = span.with_subscriber(|(id, subscriber)| subscriber.enter(id)));
        Self(span)
    }
}

impl Drop for Entered<'_> {
    fn drop(&mut self) {
        say(|| _ = self.0.with_subscriber(|(id, subscriber)| subscriber.exit(id)));
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use tracing::span;
    use tracing::subscriber::with_default;

    use super::*;

    /// Does `work` while the log panics at every line.
    pub(crate) fn broken<R>(work: impl FnOnce() -> R) -> R {
        with_default(Broken, work)
    }

    struct Broken;

    impl tracing::Subscriber for Broken {
        fn enabled(&self, _: &tracing::Metadata<'_>) -> bool {
            true
        }

        fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
            span::Id::from_u64(1)
        }

        fn record(&self, _: &span::Id, _: &span::Record<'_>) {}

        fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

        fn event(&self, _: &tracing::Event<'_>) {
            panic!("the log is broken");
        }

        fn enter(&self, _: &span::Id) {
            panic!("the log is broken");
        }

        fn exit(&self, _: &span::Id) {
            panic!("the log is broken");
        }

        fn try_close(&self, _: span::Id) -> bool {
            panic!("the log is broken");
        }
    }

    #[test]
    fn a_line_that_panics_is_lost_and_nothing_else() {
        broken(|| say(|| tracing::error!("a line")));
    }

    #[test]
    fn work_is_done_in_a_span_though_the_log_panics_at_it() {
        let done = broken(|| Scope::new(|| tracing::error_span!("a span")).within(|| 1));
        assert_eq!(done, 1);
    }

    #[test]
    fn a_panic_of_the_work_is_passed_on_though_the_log_panics_too() {
        let work = || Scope::new(|| tracing::error_span!("a span")).within(|| panic!("the work"));
        assert_eq!(broken(|| unwind::catch::<()>(work)), Err("the work".to_owned()));
    }
}
