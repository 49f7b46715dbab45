//! Looking at stored tasks and queues, and acting on them by hand.

use super::Client;
use crate::backend::{
    DeleteQueue, Purged, QueueRecord, RouteStats, Stats, TaskRecord, TaskRequest,
};
use crate::error::Error;
use crate::queue::{QueueConfig, QueueName};
use crate::task::{TaskId, TaskName};
use crate::task_type::Task;

impl Client {
    /// The stored task of this id; `None` once it is over.
    ///
    /// # Errors
    /// [`Error::Storage`], as for all that follow here.
    pub async fn get(&self, id: TaskId) -> Result<Option<TaskRecord>, Error> {
        self.backend().get(id).await
    }

    /// The stored task that was [named](crate::Defer::named) `name` in this queue, dead letters included; `None` once it
    /// is over.
    ///
    /// On Cloud Tasks, where queues keep dead letters, the tasks of `NAME-dead` are listed to find
    /// one, 1,000 a call.
    ///
    /// # Errors
    /// [`Error::QueueName`] and [`Error::TaskName`] if one of them is not valid, [`Error::Storage`].
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
        self.backend().find(QueueName::new(queue)?, TaskName::new(name)?).await
    }

    /// Deletes a task, whatever its state; its name stays blocked for a while. Answers whether it was stored.
    ///
    /// A handler that is running it is cancelled when its worker next extends its leases.
    ///
    /// # Errors
    /// [`Error::Storage`].
    pub async fn delete(&self, id: TaskId) -> Result<bool, Error> {
        self.backend().delete(self.touch(id)).await
    }

    /// Makes a waiting task due at once.
    ///
    /// # Errors
    /// [`Error::NoSuchTask`] if it is not waiting.
    pub async fn run_now(&self, id: TaskId) -> Result<(), Error> {
        self.backend().run_now(self.touch(id)).await
    }

    /// Gives a dead letter a new life: it is due at once, with all its attempts before it.
    ///
    /// On Cloud Tasks, where [queues](crate::Client::put_queue) keep dead letters, a new task is stored under the same id and
    /// without a name, and then the letter is deleted.
    ///
    /// # Errors
    /// [`Error::NoSuchTask`] if it is no dead letter.
    pub async fn replay(&self, id: TaskId) -> Result<(), Error> {
        self.backend().replay(self.touch(id)).await
    }

    /// Creates a queue, or changes its configuration: the fields that are set are written, the others stay as they are
    /// stored. The retry settings are one field. Queues without a configuration are made as tasks arrive, except by Cloud
    /// Tasks.
    ///
    /// A retention may be shortened here. A program whose builder states a longer one raises it again when it starts, and
    /// when the queue is made anew after it was deleted: a worker that serves it within its next sweep, a program that only
    /// defers not before it starts again.
    ///
    /// On Cloud Tasks, call it in every process that defers: its retry limits travel with the tasks of those that did.
    ///
    /// # Errors
    /// [`Error::QueueName`] if `queue` is not a valid queue name; [`Error::QueueConfig`] if a setting cannot be what it
    /// is (no attempt at all, a `min_backoff` above the `max_backoff`); [`Error::NewerQueue`] if a newer version of this
    /// crate configured the queue; [`Error::Unsupported`] if the backend has no use for a field that is set.
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
            // The stated retention is stored first: stored later, it would raise what is shortened here.
            self.raise_retention([&queue]).await?;
        }
        self.backend().put_queue(queue, config).await
    }

    /// All queues, by name.
    ///
    /// # Errors
    /// [`Error::Storage`].
    pub async fn queues(&self) -> Result<Vec<QueueRecord>, Error> {
        self.backend().queues().await
    }

    /// Pauses a queue: it accepts tasks, and none is started until it is [resumed](Self::resume).
    ///
    /// To pause a queue before its first task, create it with [`put_queue`](Self::put_queue).
    ///
    /// # Errors
    /// [`Error::NoSuchQueue`] if there is no such queue, [`Error::QueueName`] if `queue` is not a valid
    /// queue name.
    pub async fn pause(&self, queue: impl Into<String>) -> Result<(), Error> {
        self.backend().set_paused(QueueName::new(queue)?, true).await
    }

    /// Lets a paused queue go on.
    ///
    /// # Errors
    /// [`Error::NoSuchQueue`] if there is no such queue, [`Error::QueueName`] if `queue` is not a valid
    /// queue name.
    pub async fn resume(&self, queue: impl Into<String>) -> Result<(), Error> {
        self.backend().set_paused(QueueName::new(queue)?, false).await
    }

    /// Deletes the tasks of a queue that are stored now, except its dead letters and tasks that a newer version of this
    /// crate stored. A large queue is purged in several steps: if the call is interrupted, call it again.
    ///
    /// # Errors
    /// [`Error::QueueName`] if `queue` is not a valid queue name.
    pub async fn purge(&self, queue: impl Into<String>) -> Result<Purged, Error> {
        self.backend().purge(QueueName::new(queue)?, self.now()).await
    }

    /// Deletes a queue that holds neither tasks nor dead letters, with its configuration; one that is not stored is deleted
    /// already. The next task that is deferred to it makes it anew, with the default configuration; names of tasks that it
    /// had stay blocked for as long as it said.
    ///
    /// On Cloud Tasks tasks that are deferred meanwhile are deleted with the queue, and those of
    /// [`delete_queue_with_tasks`](Self::delete_queue_with_tasks) include what a newer version of this crate stored;
    /// Google refuses to make another one
    /// of its name for some days (3 to 7, its documentation says): tasks cannot be deferred to it until then.
    ///
    /// # Errors
    /// [`Error::QueueName`] if `queue` is not a valid queue name; [`Error::QueueInUse`] if it holds tasks or dead letters;
    /// [`Error::NewerQueue`] if a newer version of this crate configured it.
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
    /// assert!(matches!(tasks.delete_queue("emails").await, Err(Error::QueueInUse { tasks: 1, .. })));
    /// assert_eq!(tasks.delete_queue_with_tasks("emails").await?.deleted, 1);
    /// assert!(tasks.queues().await?.is_empty());
    /// # Ok(())
    /// # }
    /// ```
    pub async fn delete_queue(&self, queue: impl Into<String>) -> Result<(), Error> {
        self.remove_queue(DeleteQueue::new(self.now(), QueueName::new(queue)?)).await.map(drop)
    }

    /// Deletes a queue as [`delete_queue`](Self::delete_queue) does, and all of its tasks and dead letters first: what runs
    /// is cancelled when its worker next extends its leases. A large queue is deleted in several steps: if the call is
    /// interrupted, call it again.
    ///
    /// Answers how many tasks and dead letters were deleted, and how many are left: a newer version of this crate stored
    /// them, the configuration of their queue is damaged, they cannot be read, or they were stored meanwhile. The queue
    /// stays then.
    ///
    /// # Errors
    /// [`Error::QueueName`] if `queue` is not a valid queue name; [`Error::NewerQueue`] if a newer version of this crate
    /// configured it.
    pub async fn delete_queue_with_tasks(&self, queue: impl Into<String>) -> Result<Purged, Error> {
        self.remove_queue(DeleteQueue::new(self.now(), QueueName::new(queue)?).with_tasks()).await
    }

    async fn remove_queue(&self, request: DeleteQueue) -> Result<Purged, Error> {
        let queue = request.queue.clone();
        let purged = self.backend().delete_queue(request).await?;
        // It is made anew without it.
        self.0.retention.forget(&queue);
        Ok(purged)
    }

    /// How many tasks stand where, of all queues together.
    ///
    /// This counts all tasks that wait: on SQLite a few tenths of a second for each million, on a thread and a connection of
    /// its own, so that `defer` and workers go on meanwhile. A worker asks when it starts and once a minute.
    ///
    /// # Errors
    /// [`Error::Storage`].
    pub async fn stats(&self) -> Result<Stats, Error> {
        Ok(self.stats_by_route().await?.iter().map(|line| line.stats).sum())
    }

    /// How many tasks of the type `T` stand where, under its kind and its aliases.
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

    /// How many tasks stand where, by queue and route.
    ///
    /// # Errors
    /// [`Error::Storage`].
    pub async fn stats_by_route(&self) -> Result<Vec<RouteStats>, Error> {
        self.backend().stats(self.now()).await
    }

    /// The routes of waiting tasks that this program cannot run, those of newer versions of this crate among them. They
    /// stay stored until a program that can comes by.
    ///
    /// # Errors
    /// [`Error::Storage`].
    pub async fn unroutable(&self) -> Result<Vec<RouteStats>, Error> {
        let mut lines = self.stats_by_route().await?;
        lines.retain(|line| {
            let is_unknown =
                self.0.registry.find(line.route.kind().as_str(), line.route.shape()).is_none();
            line.stats.scheduled > 0 && (is_unknown || line.is_newer)
        });
        Ok(lines)
    }

    fn touch(&self, id: TaskId) -> TaskRequest {
        TaskRequest::new(self.now(), id)
    }
}
