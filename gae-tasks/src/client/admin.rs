//! Inspects stored tasks and queues, and acts on them by hand.

use super::Client;
use crate::backend::{
    DeleteQueue, Purged, QueueRecord, RouteStats, Stats, TaskRecord, TaskRequest,
};
use crate::error::Error;
use crate::queue::{QueueConfig, QueueName};
use crate::task::{TaskId, TaskName};
use crate::task_type::Task;

impl Client {
    /// Returns the stored task with this id; `None` after its end.
    ///
    /// # Errors
    /// [`Error::Storage`]; so for all methods below.
    pub async fn get(&self, id: TaskId) -> Result<Option<TaskRecord>, Error> {
        let mut record = self.backend().get(id).await?;
        self.complete(record.as_mut_slice()).await?;
        Ok(record)
    }

    /// Returns the stored task that was [named](crate::Defer::named) `name` in this queue, dead
    /// letters included; `None` after its end.
    ///
    /// On Cloud Tasks, where queues keep dead letters, the tasks of `NAME-dead` are listed to find
    /// one, 1,000 a call.
    ///
    /// # Errors
    /// [`Error::QueueName`] and [`Error::TaskName`] if a name is not valid, [`Error::Storage`].
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), gae_tasks::Error> {
    /// use gae_tasks::{Client, deferred};
    ///
    /// #[deferred(queue = "emails")]
    /// async fn send_welcome(user_id: u64) {}
    ///
    /// let tasks = Client::open("memory:").await?;
    /// let welcome = send_welcome::defer(42).named("welcome-42").on(&tasks).await?;
    /// let found = tasks.find("emails", "welcome-42").await?;
    /// assert_eq!(found.map(|task| task.spec.id), Some(welcome.id));
    /// assert!(tasks.find("emails", "welcome-43").await?.is_none());
    /// # Ok(())
    /// # }
    /// ```
    pub async fn find(
        &self,
        queue: impl Into<String>,
        name: impl Into<String>,
    ) -> Result<Option<TaskRecord>, Error> {
        let (queue, name) = (QueueName::new(queue)?, TaskName::new(name)?);
        let mut record = self.backend().find(queue, name).await?;
        self.complete(record.as_mut_slice()).await?;
        Ok(record)
    }

    /// Deletes a task, whatever its state; its name stays blocked for a while. Returns whether the
    /// task was stored.
    ///
    /// A running attempt at the task is cancelled when its worker next extends its leases. To stop
    /// a task sooner, and to keep it as a dead letter, [cancel](Self::cancel) it.
    ///
    /// # Errors
    /// [`Error::Storage`].
    pub async fn delete(&self, id: TaskId) -> Result<bool, Error> {
        self.backend().delete(self.touch(id)).await
    }

    /// Makes a waiting task due at once: it runs even while its queue is [paused](Self::pause),
    /// beyond the [limits](crate::guide::limits) of the queue, and before its other tasks. If that
    /// attempt fails, the task is retried like any other.
    ///
    /// A [bound](crate::Worker::queue_concurrency) of a worker holds for it too.
    ///
    /// # Errors
    /// [`Error::NoSuchTask`] if the task is not waiting.
    pub async fn run_now(&self, id: TaskId) -> Result<(), Error> {
        self.backend().run_now(self.touch(id)).await
    }

    /// Makes a dead letter a task again: due at once, with a full number of attempts.
    ///
    /// On Cloud Tasks, where queues can keep dead letters, a new task is stored under the same id
    /// and without a name, and then the letter is deleted.
    ///
    /// # Errors
    /// [`Error::NoSuchTask`] if the task is not a dead letter.
    pub async fn replay(&self, id: TaskId) -> Result<(), Error> {
        self.backend().replay(self.touch(id)).await
    }

    /// Creates a queue, or changes its configuration: fields that are set are written, the others
    /// keep their stored values. The retry settings are one field. Queues without a configuration
    /// are created as tasks arrive, except on Cloud Tasks. To take a limit away again, or for many
    /// queues, see [`plan_queues`](Self::plan_queues).
    ///
    /// The method can shorten a retention. A program whose builder states a longer one raises it
    /// again when the program starts, and when the queue is created again after it was deleted: a
    /// worker that serves the queue does so with its next sweep, a program that only defers when it
    /// is started again.
    ///
    /// On Cloud Tasks, call this method in every process that defers: the retry limits are stored
    /// with the tasks of those processes that called it.
    ///
    /// # Errors
    /// [`Error::QueueName`] if `queue` is not a valid queue name; [`Error::QueueConfig`] if a
    /// setting is not valid (zero attempts, a `min_backoff` above the `max_backoff`) or the backend
    /// does not have such a limit; [`Error::NewerQueue`] if a newer version of this crate
    /// configured the queue; [`Error::Unsupported`] if the backend does not support a field that is
    /// set.
    pub async fn put_queue(
        &self,
        queue: impl Into<String>,
        config: QueueConfig,
    ) -> Result<(), Error> {
        let queue = QueueName::new(queue)?;
        if let Some(problem) = config.problem() {
            return Err(Error::QueueConfig { queue: queue.to_string(), problem });
        }
        if config.own_retention().is_stated() {
            // The stated retention is stored first; stored later, it would raise a shortened one.
            self.raise_retention([&queue]).await?;
        }
        self.backend().put_queue(queue, config).await
    }

    /// Returns all queues, sorted by name.
    ///
    /// # Errors
    /// [`Error::Storage`].
    pub async fn queues(&self) -> Result<Vec<QueueRecord>, Error> {
        self.backend().queues().await
    }

    /// Pauses a queue: it accepts tasks, but none is started until the queue is
    /// [resumed](Self::resume), except tasks that [`run_now`](Self::run_now) makes due. Attempts
    /// that are running go on.
    ///
    /// To pause a queue before its first task, create it with [`put_queue`](Self::put_queue).
    ///
    /// # Errors
    /// [`Error::NoSuchQueue`] if there is no such queue, [`Error::QueueName`] if `queue` is not a
    /// valid queue name.
    pub async fn pause(&self, queue: impl Into<String>) -> Result<(), Error> {
        self.backend().set_paused(QueueName::new(queue)?, true).await
    }

    /// Resumes a paused queue.
    ///
    /// # Errors
    /// [`Error::NoSuchQueue`] if there is no such queue, [`Error::QueueName`] if `queue` is not a
    /// valid queue name.
    pub async fn resume(&self, queue: impl Into<String>) -> Result<(), Error> {
        self.backend().set_paused(QueueName::new(queue)?, false).await
    }

    /// Deletes the tasks of a queue that are stored when the call begins, except its dead letters
    /// and tasks that a newer version of this crate stored. A large queue is purged in several
    /// steps, and tasks that are deferred meanwhile stay: if the call is interrupted, call it
    /// again.
    ///
    /// # Errors
    /// [`Error::QueueName`] if `queue` is not a valid queue name.
    pub async fn purge(&self, queue: impl Into<String>) -> Result<Purged, Error> {
        self.backend().purge(QueueName::new(queue)?, self.now()).await
    }

    /// Deletes a queue that holds neither tasks nor dead letters, with its configuration; a queue
    /// that is not stored counts as deleted. The next task that is deferred to the queue creates it
    /// again, with the default configuration. Names of its former tasks stay blocked for as long as
    /// the queue's configuration said.
    ///
    /// On Cloud Tasks, tasks that are deferred during the call are deleted with the queue, and
    /// [`delete_queue_with_tasks`](Self::delete_queue_with_tasks) also deletes tasks that a newer
    /// version of this crate stored. Google refuses to create another queue of the same name for
    /// some days (3 to 7 by its documentation): tasks cannot be deferred to the queue until then.
    ///
    /// # Errors
    /// [`Error::QueueName`] if `queue` is not a valid queue name; [`Error::QueueInUse`] if the
    /// queue holds tasks or dead letters; [`Error::NewerQueue`] if a newer version of this crate
    /// configured it.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), gae_tasks::Error> {
    /// use gae_tasks::{Client, Error, deferred};
    ///
    /// #[deferred(queue = "emails")]
    /// async fn send_welcome(user_id: u64) {}
    ///
    /// let tasks = Client::open("memory:").await?;
    /// send_welcome::defer(42).on(&tasks).await?;
    /// let refused = tasks.delete_queue("emails").await;
    /// assert!(matches!(refused, Err(Error::QueueInUse { tasks: 1, .. })));
    /// assert_eq!(tasks.delete_queue_with_tasks("emails").await?.deleted, 1);
    /// assert!(tasks.queues().await?.is_empty());
    /// # Ok(())
    /// # }
    /// ```
    pub async fn delete_queue(&self, queue: impl Into<String>) -> Result<(), Error> {
        self.remove_queue(DeleteQueue::new(self.now(), QueueName::new(queue)?)).await.map(drop)
    }

    /// Deletes a queue as [`delete_queue`](Self::delete_queue) does, after deleting all of its
    /// tasks and dead letters. Running attempts are cancelled when their worker next extends its
    /// leases. A large queue is deleted in several steps: if the call is interrupted, call it
    /// again.
    ///
    /// Returns how many tasks and dead letters were deleted, and how many are left because a newer
    /// version of this crate stored them, the configuration of their queue is damaged, they cannot
    /// be read, or they were stored during the call. If any are left, the queue stays.
    ///
    /// # Errors
    /// [`Error::QueueName`] if `queue` is not a valid queue name; [`Error::NewerQueue`] if a newer
    /// version of this crate configured the queue.
    pub async fn delete_queue_with_tasks(&self, queue: impl Into<String>) -> Result<Purged, Error> {
        self.remove_queue(DeleteQueue::new(self.now(), QueueName::new(queue)?).with_tasks()).await
    }

    pub(super) async fn remove_queue(&self, request: DeleteQueue) -> Result<Purged, Error> {
        let queue = request.queue.clone();
        let purged = self.backend().delete_queue(request).await?;
        // The queue is created again without the retention.
        self.0.retention.forget(&queue);
        Ok(purged)
    }

    /// Counts the tasks of all queues by state.
    ///
    /// The method counts all waiting tasks: on SQLite this takes a few tenths of a second per
    /// million, on a thread and a connection of its own, so that `defer` and workers go on
    /// meanwhile. A worker calls it when it starts and once a minute.
    ///
    /// # Errors
    /// [`Error::Storage`].
    pub async fn stats(&self) -> Result<Stats, Error> {
        Ok(self.stats_by_route().await?.iter().map(|line| line.stats).sum())
    }

    /// Counts the tasks of type `T` by state, under its kind and its aliases.
    ///
    /// # Errors
    /// [`Error::Storage`].
    pub async fn stats_of<T: Task>(&self) -> Result<Stats, Error> {
        let registration = T::registration();
        let lines = self.stats_by_route().await?;
        let of_task = lines.iter().filter(|line| {
            let kind = line.route.kind().as_str();
            kind == registration.kind || registration.aliases.contains(&kind)
        });
        Ok(of_task.map(|line| line.stats).sum())
    }

    /// Counts the tasks by state, for each queue and route.
    ///
    /// # Errors
    /// [`Error::Storage`].
    pub async fn stats_by_route(&self) -> Result<Vec<RouteStats>, Error> {
        self.backend().stats(self.now()).await
    }

    fn touch(&self, id: TaskId) -> TaskRequest {
        TaskRequest::new(self.now(), id)
    }
}
