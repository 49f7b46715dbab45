//! How an attempt ended, and the errors by which a handler chooses the outcome.

use std::error::Error as StdError;
use std::fmt;
use std::mem;
use std::time::Duration;

use crate::time::readable;
use crate::unwind;

/// Any error, as a handler may return it.
pub type BoxError = Box<dyn StdError + Send + Sync>;

/// How an attempt ended.
#[derive(Debug)]
#[non_exhaustive]
pub enum Outcome {
    /// The handler succeeded: the task is over.
    Done,
    /// The handler failed: the task is retried as its queue's [`RetryConfig`](crate::RetryConfig)
    /// says.
    Retry(Failure),
    /// The handler failed for good: the task becomes a dead letter.
    Permanent(Failure),
    /// The stored payload cannot be read, so no attempt was made: the task is put back for a while.
    Unreadable(Failure),
    /// The attempt did not happen: the task is put back unchanged.
    Released,
}

impl Outcome {
    /// The outcome of a handler that failed with `error`.
    pub(crate) fn failed(intent: Option<Intent>, error: BoxError) -> Self {
        let intent = intent.or_else(|| Intent::of(&*error));
        // Formatted here: if the error's `Display` panics, that counts as a panic of the handler.
        let text = chain(&*error);
        let failure = Failure { error, intent, text };
        match intent {
            Some(Intent::Permanent) => Self::Permanent(failure),
            _ => Self::Retry(failure),
        }
    }

    /// The outcome of a call that could not be made because the payload cannot be read.
    pub(crate) fn unreadable(error: BoxError) -> Self {
        let text = chain(&*error);
        Self::Unreadable(Failure { error, intent: None, text })
    }

    /// The handler's error, if it failed.
    pub fn failure(&self) -> Option<&Failure> {
        match self {
            Self::Retry(failure) | Self::Permanent(failure) | Self::Unreadable(failure) => {
                Some(failure)
            }
            Self::Done | Self::Released => None,
        }
    }

    /// The outcome as the handler's own result; a released attempt is `Ok`.
    ///
    /// # Errors
    /// The handler's error, if it failed.
    pub fn into_result(self) -> Result<(), BoxError> {
        match self {
            Self::Retry(mut failure)
            | Self::Permanent(mut failure)
            | Self::Unreadable(mut failure) => Err(failure.take_error()),
            Self::Done | Self::Released => Ok(()),
        }
    }
}

/// Why an attempt failed, and what the handler asked for.
#[derive(Debug)]
pub struct Failure {
    error: BoxError,
    intent: Option<Intent>,
    text: String,
}

impl Failure {
    /// The handler's error.
    pub fn error(&self) -> &(dyn StdError + Send + Sync + 'static) {
        &*self.error
    }

    /// The pause before the next attempt that [`TaskFailure::retry_after`] asked for.
    pub fn retry_after(&self) -> Option<Duration> {
        match self.intent {
            Some(Intent::RetryAfter(delay)) => Some(delay),
            _ => None,
        }
    }

    /// Whether the retry is expected ([`SingularTaskFailure`]) and logged at debug level.
    pub fn is_quiet(&self) -> bool {
        matches!(self.intent, Some(Intent::Singular))
    }

    fn take_error(&mut self) -> BoxError {
        // A box of a zero-sized error takes no memory.
        mem::replace(&mut self.error, Box::new(fmt::Error))
    }
}

impl Drop for Failure {
    /// Discards a panic of the error's destructor: the attempt has already ended.
    fn drop(&mut self) {
        unwind::discard(self.take_error());
    }
}

impl fmt::Display for Failure {
    /// The error and its sources in one line, each once.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// An error and its sources in one line, each once: the `Display` of many types already prints the
/// source.
pub(crate) fn chain(error: &(dyn StdError + 'static)) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        let next = error.to_string();
        if !error.is::<Marker>() && !text.ends_with(&next) {
            text.push_str(": ");
            text.push_str(&next);
        }
        source = error.source();
    }
    text
}

/// The intent that an error in a chain states for its task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Intent {
    Permanent,
    Singular,
    RetryAfter(Duration),
}

impl Intent {
    /// The intent of `error` or of the first of its sources that has one.
    pub(crate) fn of(error: &(dyn StdError + 'static)) -> Option<Self> {
        let mut next = Some(error);
        while let Some(error) = next {
            // `#[error(transparent)]` skips the wrapped error itself and returns its source: the
            // marker.
            let marker = error
                .downcast_ref::<Marker>()
                .or_else(|| error.downcast_ref::<PermanentTaskFailure>().map(|e| &e.marker))
                .or_else(|| error.downcast_ref::<SingularTaskFailure>().map(|e| &e.marker))
                .or_else(|| error.downcast_ref::<TaskFailure>().map(|e| &e.marker));
            if let Some(marker) = marker {
                return Some(marker.intent);
            }
            next = error.source();
        }
        None
    }
}

/// The private source of each failure type. The marker carries the intent to where the failure type
/// itself is hidden.
#[derive(Debug)]
struct Marker {
    intent: Intent,
    source: Option<BoxError>,
}

impl fmt::Display for Marker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.intent {
            Intent::Permanent => f.write_str("permanent task failure"),
            Intent::Singular => f.write_str("singular task failure"),
            Intent::RetryAfter(delay) => write!(f, "retry after {}", readable(delay)),
        }
    }
}

impl StdError for Marker {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}

macro_rules! failures {
    ($($(#[$doc:meta])* $type:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Debug)]
        pub struct $type {
            message: String,
            marker: Marker,
        }

        impl $type {
            /// Sets `source` as the cause.
            pub fn because(mut self, source: impl Into<BoxError>) -> Self {
                self.marker.source = Some(source.into());
                self
            }

            #[doc(hidden)]
            pub fn intent(&self) -> Intent {
                self.marker.intent
            }

            fn with(message: String, intent: Intent) -> Self {
                Self { message, marker: Marker { intent, source: None } }
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.message)
            }
        }

        impl StdError for $type {
            fn source(&self) -> Option<&(dyn StdError + 'static)> {
                Some(&self.marker)
            }
        }
    )*};
}

failures! {
    /// The task can never succeed: it becomes a dead letter at once, wherever in the error's chain
    /// this error stands.
    ///
    /// ```
    /// use gae_tasks::PermanentTaskFailure;
    ///
    /// fn parse(order: &str) -> Result<u64, PermanentTaskFailure> {
    ///     let wrong = PermanentTaskFailure::new("the order id is not a number");
    ///     order.parse().map_err(|error| wrong.because(error))
    /// }
    /// # assert!(parse("x").is_err());
    /// ```
    PermanentTaskFailure;

    /// The attempt failed in an expected way: the task is retried as after any other failure, but
    /// the failure is logged at debug level only.
    ///
    /// ```
    /// use gae_tasks::SingularTaskFailure;
    ///
    /// fn wait_for_upload(there: bool) -> Result<(), SingularTaskFailure> {
    ///     there.then_some(()).ok_or_else(|| SingularTaskFailure::new("no upload yet"))
    /// }
    /// # assert!(wait_for_upload(false).is_err());
    /// ```
    SingularTaskFailure;

    /// A failure that sets the time of the next attempt.
    ///
    /// ```
    /// use std::time::Duration;
    /// use gae_tasks::TaskFailure;
    ///
    /// fn call_api(busy: bool) -> Result<(), TaskFailure> {
    ///     if busy {
    ///         let pause = Duration::from_secs(30);
    ///         return Err(TaskFailure::retry_after(pause).because("rate limited"));
    ///     }
    ///     Ok(())
    /// }
    /// # assert!(call_api(true).is_err());
    /// ```
    TaskFailure;
}

impl PermanentTaskFailure {
    /// Creates a permanent failure with this message.
    pub fn new(message: impl Into<String>) -> Self {
        Self::with(message.into(), Intent::Permanent)
    }
}

impl SingularTaskFailure {
    /// Creates a quiet failure with this message.
    pub fn new(message: impl Into<String>) -> Self {
        Self::with(message.into(), Intent::Singular)
    }
}

impl TaskFailure {
    /// Creates a failure after which the next attempt starts `delay` later, whatever the queue's
    /// backoff says.
    ///
    /// On Cloud Tasks a copy of the task is stored, at most 30 days ahead; a named task is retried
    /// with the queue's backoff instead (see the module `push`).
    pub fn retry_after(delay: Duration) -> Self {
        Self::with(format!("to be retried after {}", readable(delay)), Intent::RetryAfter(delay))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    enum Wrapped {
        #[error("the order is broken")]
        Plain(#[source] PermanentTaskFailure),
        #[error(transparent)]
        Transparent(#[from] SingularTaskFailure),
    }

    fn intent(error: impl Into<BoxError>) -> Option<Intent> {
        Intent::of(&*error.into())
    }

    #[test]
    fn intent_survives_boxing_and_thiserror() {
        assert_eq!(intent(PermanentTaskFailure::new("x")), Some(Intent::Permanent));
        assert_eq!(intent(Wrapped::Plain(PermanentTaskFailure::new("x"))), Some(Intent::Permanent));
        assert_eq!(
            intent(Wrapped::Transparent(SingularTaskFailure::new("x"))),
            Some(Intent::Singular)
        );
        assert_eq!(intent("plain text"), None);
    }

    #[test]
    fn intent_is_found_below_another_failure_source() {
        let error = TaskFailure::retry_after(Duration::from_secs(1))
            .because(PermanentTaskFailure::new("x"));
        assert_eq!(
            intent(error),
            Some(Intent::RetryAfter(Duration::from_secs(1))),
            "the outermost intent wins"
        );
    }

    #[test]
    fn a_chain_prints_each_error_once_and_no_marker() {
        let error = Wrapped::Plain(PermanentTaskFailure::new("no such user").because("404"));
        assert_eq!(chain(&error), "the order is broken: no such user: 404");

        #[derive(Debug, thiserror::Error)]
        #[error("outer: {0}")]
        struct PrintsItsSource(#[source] std::fmt::Error);
        let text = chain(&PrintsItsSource(std::fmt::Error));
        assert_eq!(text, format!("outer: {}", std::fmt::Error));
    }
}
