//! A task that is not attempted again, with what is known of its end.

use crate::backend::NewTask;
use crate::time::Timestamp;

/// A task that will not be attempted again, as
/// [`dead_letters_to`](crate::PushServiceBuilder::dead_letters_to) hands it over.
///
/// The same task may come more than once (the answer to the queue was lost); its id tells.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct DeadLetter {
    /// The task, as it was deferred. Where the body was no task at all: its bytes as the payload,
    /// with the kind that the URL names.
    pub task: NewTask,
    /// How many attempts were made, as the queue counts them; 0 if nothing here could run it.
    pub attempts: u32,
    /// When it was deferred or, if that is later, first due; `None` where the body did not tell.
    pub created: Option<Timestamp>,
    /// When it became a dead letter.
    pub died: Timestamp,
    /// Why it is not attempted again: the last error and its sources in one line.
    pub error: String,
    /// Which [copy](super#a-time-that-the-handler-chose) of the task it was; 0 is the task as it
    /// was deferred.
    pub number: u32,
}
