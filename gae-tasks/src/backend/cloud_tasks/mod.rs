//! Google Cloud Tasks: the queue keeps the tasks and calls this program's handlers over HTTP.

mod builder;
mod call;
mod cancel;
mod copy;
mod enqueue;
mod error;
mod letter;
mod limits;
mod name;
mod queue;
mod rates;
mod read;
mod record;
mod request;
mod retries;
mod shared;
mod survey;
mod target;
mod token;
mod url;

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

pub use self::builder::CloudTasksBuilder;
use self::limits::{HORIZON, NAME, QUEUES};
use self::shared::Shared;
use self::target::Target;
use super::accept::queue::problems_of_limits;
use super::runtime::Runtime;
use super::{
    Backend, BackendFuture, Bury, Cancelled, Capabilities, CopyTask, DeadLetterCheck, DeleteQueue,
    Enqueue, List, Purged, QueueRecord, ReplaceQueue, RouteStats, Sample, Sampled, Surveyed,
    TaskRecord, TaskRequest, UnreadQueue, sealed,
};
use crate::error::Error;
use crate::payload::SensitivePaths;
use crate::queue::{QueueConfig, QueueName};
use crate::retention::Retention;
use crate::task::{Deferred, Kind, Shape, TaskId, TaskName};
use crate::time::{Now, Timestamp};

/// Queues of Google Cloud Tasks, for programs of any size. Google calls the program over HTTP, and
/// the program's push service runs the tasks.
///
/// ```no_run
/// # async fn example() -> Result<(), gae_tasks::Error> {
/// use gae_tasks::Client;
///
/// let url = "cloudtasks://shop-prod/europe-west1?url=https://worker-abc.a.run.app\
///            &service_account=queue@shop-prod.iam.gserviceaccount.com";
/// let tasks = Client::open(url).await?;
/// # Ok(())
/// # }
/// ```
///
/// - *Queues* must exist before tasks are deferred to them: use
///   [`Client::put_queue`](crate::Client::put_queue) or `gcloud tasks queues create NAME
///   --max-attempts=-1 --min-backoff=1s`. Google never
///   gives up a task of a queue that `put_queue` has written: this process remembers the limits of
///   its [`RetryConfig`](crate::RetryConfig), they travel with the tasks that the process defers,
///   and the handler enforces them. A queue has at most 500
///   dispatches a second and 5,000 at a time, and 500 and 1,000 if it has no limits of its own;
///   Google chooses the size of its token bucket.
/// - *No duplicates.* Every task has a name at Google, made from its id if the caller gave none. A
///   call whose answer was lost can therefore be repeated, and is, within the [time
///   limit](CloudTasksBuilder::time_limit).
/// - *The id of a named task* is derived from its queue and its name, and a duplicate is answered
///   with this id. The handler and the dead letter of the task have the id of the one call that
///   stored it. Names stay blocked for up to 24 hours after a task's end (9 days in queues made by
///   `queue.yaml`), whatever the client's retention says.
/// - *A copy* continues a task whose handler chose the time of the next attempt: see
#[cfg_attr(feature = "push", doc = "  [`push`](crate::push#a-time-that-the-handler-chose).")]
#[cfg_attr(not(feature = "push"), doc = "  the module `push`.")]
/// - *Reading tasks is slow*, and billed: `list` and `stats` read every stored task, and so do
///   `get`, `delete`, `cancel` and `run_now` of a task that was named, copied, or is over. Tasks of
///   other programs in the same queues are not listed, but a purge deletes them too.
/// - *Deleting a queue* deletes everything that Google keeps in it, including tasks that a newer
///   version of this crate stored and tasks of other programs.
/// - A task lives for at most 31 days; so does a dead letter, if
///   [queues](CloudTasksBuilder::dead_letter_queues) keep the dead letters.
///
/// Workers cannot lease from Cloud Tasks, so a worker does not accept this backend:
///
/// ```compile_fail,E0277
/// # use gae_tasks::{Worker, backend::cloud_tasks::CloudTasks};
/// fn worker(backend: CloudTasks) -> Worker {
///     Worker::new(backend)
/// }
/// ```
pub struct CloudTasks {
    shared: Arc<Shared>,
    runtime: Runtime,
}

impl CloudTasks {
    /// Runs `work` on the client's own runtime: the caller needs no runtime, and `work` continues
    /// if the caller is dropped.
    fn run<T, F>(&self, work: impl FnOnce(Arc<Shared>) -> F) -> BackendFuture<'_, T>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, Error>> + Send + 'static,
    {
        Box::pin(self.runtime.run(work(Arc::clone(&self.shared))))
    }
}

impl fmt::Debug for CloudTasks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CloudTasks")
            .field("place", &self.shared.place)
            .field("target", &self.shared.target)
            .finish_non_exhaustive()
    }
}

impl sealed::Sealed for CloudTasks {}

impl Backend for CloudTasks {
    fn capabilities(&self) -> Capabilities {
        Capabilities {
            durable: true,
            max_payload: self.shared.max_payload,
            schemas_travel: true,
            schedule_horizon: Some(HORIZON),
            // Google's minimum is longer: Google receives its own minimum, and the handler enforces
            // the exact deadline.
            min_deadline: Duration::from_millis(1),
            max_deadline: self.shared.target.deadlines().1,
            pull: false,
            targets: matches!(self.shared.target, Target::AppEngine(_)),
            headers: true,
            // Google documents retry settings of single tasks, but no recording shows that it
            // honours them.
            backoff: false,
            priorities: false,
            unique: false,
            dead_letters: self.shared.keeps_letters,
            retention: false,
            queue_limits: QUEUES,
            schedules: false,
            ..Capabilities::new(NAME)
        }
    }

    fn enqueue(&self, request: Enqueue) -> BackendFuture<'_, Vec<Result<Deferred, Error>>> {
        let now = moment(request.now);
        self.run(|shared| async move { Ok(shared.enqueue(request, now).await) })
    }

    fn get(&self, id: TaskId) -> BackendFuture<'_, Option<TaskRecord>> {
        self.run(|shared| async move { shared.get(id).await })
    }

    fn find(&self, queue: QueueName, name: TaskName) -> BackendFuture<'_, Option<TaskRecord>> {
        self.run(|shared| async move { shared.find(queue, &name).await })
    }

    fn stored(&self, ids: Vec<TaskId>) -> BackendFuture<'_, Vec<TaskId>> {
        self.run(|shared| async move { shared.stored(ids).await })
    }

    /// Returns none: each task carries its own paths.
    fn sensitive(&self, kinds: Vec<Kind>) -> BackendFuture<'_, Vec<SensitivePaths>> {
        let none = kinds.iter().map(|_| SensitivePaths::default()).collect();
        Box::pin(std::future::ready(Ok(none)))
    }

    /// Returns none: each task carries its own schema.
    fn schemas(&self, shapes: Vec<Shape>) -> BackendFuture<'_, Vec<Option<Arc<[u8]>>>> {
        Box::pin(std::future::ready(Ok(vec![None; shapes.len()])))
    }

    fn list(&self, request: List) -> BackendFuture<'_, Vec<TaskRecord>> {
        self.run(|shared| async move { shared.list(&request).await })
    }

    fn delete(&self, request: TaskRequest) -> BackendFuture<'_, bool> {
        self.run(|shared| async move { shared.delete(request.id).await })
    }

    fn run_now(&self, request: TaskRequest) -> BackendFuture<'_, ()> {
        self.run(|shared| async move { shared.run_now(request.id).await })
    }

    fn cancel(&self, request: TaskRequest) -> BackendFuture<'_, Cancelled> {
        self.run(|shared| async move { shared.cancel(request.id).await })
    }

    fn replay(&self, request: TaskRequest) -> BackendFuture<'_, ()> {
        if !self.shared.keeps_letters {
            return unsupported("dead letters: replay them where the push service stores them");
        }
        let now = moment(request.now);
        self.run(|shared| async move { shared.replay(request.id, now).await })
    }

    fn bury(&self, request: Bury) -> BackendFuture<'_, ()> {
        let now = moment(request.now);
        self.run(|shared| async move { shared.bury(request, now).await })
    }

    fn check_dead_letters(&self, queues: Vec<QueueName>) -> BackendFuture<'_, DeadLetterCheck> {
        self.run(|shared| async move { shared.check_letters(queues).await })
    }

    fn copy(&self, request: CopyTask) -> BackendFuture<'_, ()> {
        let now = moment(request.now);
        self.run(|shared| async move { shared.copy(request, now).await })
    }

    fn put_queue(&self, queue: QueueName, config: QueueConfig) -> BackendFuture<'_, ()> {
        if let Err(refused) = check(&queue, &config) {
            return Box::pin(std::future::ready(Err(refused)));
        }
        self.run(|shared| async move { shared.put_queue(&queue, &config).await })
    }

    fn replace_queue(&self, request: ReplaceQueue) -> BackendFuture<'_, ()> {
        if let Err(refused) = check(&request.queue, &request.config) {
            return Box::pin(std::future::ready(Err(refused)));
        }
        self.run(|shared| async move { shared.replace_queue(request).await })
    }

    fn raise_retention(&self, _queue: QueueName, _stated: Retention) -> BackendFuture<'_, ()> {
        unsupported("a retention of dead letters or of names")
    }

    fn queues(&self) -> BackendFuture<'_, Vec<QueueRecord>> {
        self.run(|shared| async move { shared.queues().await })
    }

    fn set_paused(&self, queue: QueueName, paused: bool) -> BackendFuture<'_, ()> {
        self.run(|shared| async move { shared.set_paused(&queue, paused).await })
    }

    /// Google does not return the number of purged tasks: they are counted before, and purged
    /// within a minute.
    fn purge(&self, queue: QueueName, _now: Now) -> BackendFuture<'_, Purged> {
        self.run(|shared| async move {
            let count = shared.count(&queue).await?;
            shared.purge(&queue).await?;
            Ok(Purged::new(count, 0))
        })
    }

    /// Google deletes everything in the queue, including tasks that a newer version of this crate
    /// stored.
    fn delete_queue(&self, request: DeleteQueue) -> BackendFuture<'_, Purged> {
        self.run(|shared| async move { shared.delete_queue(&request).await })
    }

    fn stats(&self, now: Now) -> BackendFuture<'_, Vec<RouteStats>> {
        let now = moment(now);
        self.run(|shared| async move { shared.stats(now).await })
    }

    fn survey(&self, now: Now) -> BackendFuture<'_, Surveyed> {
        let now = moment(now);
        self.run(|shared| async move { shared.survey(now).await })
    }

    fn sample(&self, request: Sample) -> BackendFuture<'_, Result<Vec<Sampled>, UnreadQueue>> {
        self.run(|shared| async move { shared.sample(&request).await })
    }
}

/// Checks that Google's queues have every field that is set.
fn check(queue: &QueueName, config: &QueueConfig) -> Result<(), Error> {
    let retention = config.own_retention();
    // Every backend can keep no dead letters.
    let keeps = retention.dead_letters.is_some_and(|kept| !kept.is_zero());
    let for_workers = [
        (keeps, "the `dead_letter_retention` of a queue: remove it"),
        (retention.tombstones.is_some(), "the `tombstone_retention` of a queue: remove it"),
        (config.own_max_lost_attempts().is_some(), "the `max_lost_attempts` of a queue: remove it"),
        (config.own_priority_step().is_some(), "the `priority_step` of a queue: remove it"),
    ];
    if let Some((_, what)) = for_workers.into_iter().find(|(is_set, _)| *is_set) {
        return Err(Error::Unsupported { backend: NAME, what });
    }
    match problems_of_limits(config.limits(), NAME, QUEUES).into_iter().next() {
        Some(problem) => Err(Error::QueueConfig { queue: queue.to_string(), problem }),
        None => Ok(()),
    }
}

fn unsupported<'a, T: Send + 'a>(what: &'static str) -> BackendFuture<'a, T> {
    Box::pin(std::future::ready(Err(Error::Unsupported { backend: NAME, what })))
}

fn moment(now: Now) -> Timestamp {
    now.resolve(|| SystemTime::now().into())
}
