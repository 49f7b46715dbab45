//! A task that is not attempted again, with the reason.

use crate::backend::NewTask;
use crate::time::Timestamp;

/// A task that will not be attempted again, as passed to
/// [`dead_letters_to`](crate::PushServiceBuilder::dead_letters_to).
///
/// The same task may be passed more than once (if the answer to the queue was lost), with the same
/// id.
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
/// let task = NewTask::new(spec, Vec::new(), []);
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

impl DeadLetter {
    /// A dead letter of `task`, as it was deferred: after so many attempts it died at `died` of
    /// `error`. When it was created is not known.
    pub fn new(task: NewTask, attempts: u32, died: Timestamp, error: impl Into<String>) -> Self {
        Self { task, attempts, created: None, died, error: error.into(), number: 0 }
    }
}
