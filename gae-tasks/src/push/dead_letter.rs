//! A task that is not attempted again, with the reason.

use crate::backend::NewTask;
use crate::time::Timestamp;

/// A task that will not be attempted again, as passed to
/// [`dead_letters_to`](crate::PushServiceBuilder::dead_letters_to).
///
/// The same task may be passed more than once (if the answer to the queue was lost), with the same
/// id.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct DeadLetter {
    /// The task as it was deferred. If the body was not a task: its bytes as the payload, with the
    /// kind in the URL.
    pub task: NewTask,
    /// The number of attempts, as the queue counts them; 0 if no attempt was possible here.
    pub attempts: u32,
    /// When the task was deferred or, if that is later, first due; `None` if the body does not say.
    pub created: Option<Timestamp>,
    /// When the task became a dead letter.
    pub died: Timestamp,
    /// Why the task is not attempted again: the last error and its sources in one line.
    pub error: String,
    /// The number of the task's [copy](super#a-time-that-the-handler-chose); 0 is the task as it
    /// was deferred.
    pub number: u32,
}
