//! Cancels tasks.

use super::Client;
use crate::backend::{Cancelled, TaskRequest};
use crate::error::Error;
use crate::task::TaskId;

impl Client {
    /// Cancels a task, whether it waits or runs.
    ///
    /// - A task that *waits* is deleted ([`Cancelled::Removed`]); its name stays blocked for a
    ///   while.
    /// - Of a task that a worker has, the request is stored ([`Cancelled::Requested`]), before this
    ///   method returns. From then on the task is never attempted again. If the attempt succeeds,
    ///   the task is done, also where it [completes](crate::TaskContext::complete_in) the task in a
    ///   transaction. Everything else, a failure, a shutdown or the loss of the worker, makes a
    ///   dead letter of it that says that it was cancelled. It can be
    ///   [replayed](Self::replay), which begins a new life.
    /// - If there is nothing to cancel, because the task is over, unknown or a dead letter, nothing
    ///   happens ([`Cancelled::Gone`]).
    ///
    /// The running attempt is told by its [context](crate::TaskContext::cancelled): at once in this
    /// process, within a second in others. An async handler has 5 seconds to end
    /// ([`Worker::cancel_grace`](crate::Worker::cancel_grace)) before it is dropped. A plain
    /// function cannot be stopped, and goes on until it returns.
    ///
    /// A worker leases tasks a moment before it starts them. In another process, a task may start
    /// within the second that passes before its worker knows.
    ///
    /// On Cloud Tasks only a task that waits can be cancelled.
    ///
    /// # Errors
    /// [`Error::Unsupported`] on Cloud Tasks if the task has been sent to its handler, which has
    /// not answered yet; [`Error::Storage`].
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), gae_tasks::Error> {
    /// use std::time::Duration;
    /// use gae_tasks::{Cancelled, Client, deferred};
    ///
    /// #[deferred]
    /// async fn remind(user_id: u64) {}
    ///
    /// let tasks = Client::open("memory:").await?;
    /// let reminder = remind::defer(42).after(Duration::from_secs(3600)).on(&tasks).await?;
    /// assert_eq!(tasks.cancel(reminder.id).await?, Cancelled::Removed);
    /// assert_eq!(tasks.cancel(reminder.id).await?, Cancelled::Gone);
    /// # Ok(())
    /// # }
    /// ```
    #[doc(alias = "abort")]
    #[doc(alias = "revoke")]
    pub async fn cancel(&self, id: TaskId) -> Result<Cancelled, Error> {
        self.backend().cancel(TaskRequest::new(self.now(), id)).await
    }
}
