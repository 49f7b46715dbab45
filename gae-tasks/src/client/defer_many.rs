//! Defers many tasks in one transaction.

use super::Client;
use super::future::boxed_future;
use crate::defer::{Defer, Prepared};
use crate::error::Error;
use crate::task::Deferred;

impl Client {
    /// Stores many tasks, of one type or several, in one transaction: `.await` it.
    ///
    /// The iterator is read at once. Options and payloads of all tasks are checked before any task
    /// is stored. The tasks are stored with this client, whatever their [`.on(..)`](Defer::on)
    /// says. In inline mode they run one after the other, up to the first failure.
    ///
    /// # Errors
    /// As for a single [`Defer`]; [`Error::Partial`] has the result of each task if the backend
    /// refused some.
    ///
    /// ```
    /// use gae_tasks::{BoxError, Client, deferred};
    ///
    /// #[deferred]
    /// async fn send(user: u64) {}
    ///
    /// #[deferred]
    /// async fn send_to_all(users: Vec<u64>, #[state] tasks: &Client) -> Result<(), BoxError> {
    ///     tasks.defer_many(users.iter().map(|user| send::defer(*user))).await?;
    ///     Ok(())
    /// }
    /// ```
    pub fn defer_many(&self, tasks: impl IntoIterator<Item = Defer>) -> DeferManyFuture {
        // The future does not hold the iterator: a closure in the iterator that borrows would be
        // known to be `Send` for one lifetime only, but the future of a handler must be `Send` for
        // all lifetimes.
        let (client, tasks) = (self.clone(), tasks.into_iter().collect());
        DeferManyFuture(Box::pin(async move { client.store_many(tasks).await }))
    }

    async fn store_many(&self, tasks: Vec<Defer>) -> Result<Vec<Deferred>, Error> {
        if self.is_inline() {
            let mut answers = Vec::new();
            for task in tasks {
                answers.push(self.run_inline(task).await?);
            }
            return Ok(answers);
        }
        let prepared = tasks.into_iter().map(|task| task.prepare(self));
        let prepared = prepared.collect::<Result<Vec<_>, _>>()?;
        self.raise_retention(prepared.iter().map(Prepared::queue)).await?;
        let results = self.enqueue(prepared).await?;
        if results.iter().any(Result::is_err) {
            return Err(Error::Partial { results });
        }
        results.into_iter().collect()
    }
}

boxed_future! {
    /// The future of [`Client::defer_many`].
    DeferManyFuture -> Result<Vec<Deferred>, Error>
}
