//! A task that is not attempted again, with what is known of its end.

use crate::backend::NewTask;
use crate::time::Timestamp;

/// A task that will not be attempted again, as [`dead_letters_to`](crate::PushServiceBuilder::dead_letters_to) hands it
/// over.
///
/// The same task may come more than once (the answer to the queue was lost); its id tells.
///
/// A function that keeps dead letters can be tested with one of [`new`](Self::new):
///
/// ```
/// use std::time::SystemTime;
///
/// use gae_tasks::backend::NewTask;
/// use gae_tasks::push::DeadLetter;
/// use gae_tasks::{Kind, QueueName, Shape, TaskId, TaskSpec};
///
/// async fn keep(letter: DeadLetter) -> Result<(), String> {
///     let kind = &letter.task.spec.kind;
///     if letter.error.is_empty() { Err(format!("{kind} died of nothing")) } else { Ok(()) }
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), gae_tasks::Error> {
/// let id: TaskId = "019b3f0e-5c7a-7d21-8a4e-3f2b9c6d1e05".parse()?;
/// let kind = Kind::new("shop.emails/send_welcome")?;
/// let spec = TaskSpec::new(id, kind, Shape::from_bits(1), QueueName::new("emails")?);
/// let task = NewTask::new(spec, Vec::new());
/// let mut letter = DeadLetter::new(task, 3, SystemTime::now().into(), "no such order");
/// assert!(keep(letter.clone()).await.is_ok());
/// letter.error.clear();
/// assert!(keep(letter).await.is_err());
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct DeadLetter {
    /// The task, as it was deferred. Where the body was no task at all: its bytes as the payload, with the kind that the
    /// URL names.
    pub task: NewTask,
    /// How many attempts were made, as the queue counts them; 0 if nothing here could run it.
    pub attempts: u32,
    /// When it was deferred or, if that is later, first due; `None` where the body did not tell.
    pub created: Option<Timestamp>,
    /// When it became a dead letter.
    pub died: Timestamp,
    /// Why it is not attempted again: the last error and its sources in one line.
    pub error: String,
    /// Which [copy](super#a-time-that-the-handler-chose) of the task it was; 0 is the task as it was deferred.
    pub number: u32,
}

impl DeadLetter {
    /// A dead letter of `task`, as it was deferred: after so many attempts it died at `died` of
    /// `error`. When it was created is not known.
    pub fn new(task: NewTask, attempts: u32, died: Timestamp, error: impl Into<String>) -> Self {
        Self { task, attempts, created: None, died, error: error.into(), number: 0 }
    }
}
