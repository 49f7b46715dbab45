//! The family of headers that describe an attempt: those of the platform that was proven to call.

/// The headers in which a platform describes a task and its attempt.
///
/// Only the family that a request's [`Verified`](super::Verified) names is read: anybody can add
/// headers of the other family.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum HeaderFamily {
    /// `X-CloudTasks-*`: HTTP targets of Cloud Tasks, and queues that send the same headers.
    #[default]
    CloudTasks,
    /// `X-AppEngine-*`: App Engine targets.
    AppEngine,
}
