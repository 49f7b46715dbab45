//! The backend under test, with short methods for the operations that cases use.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::backend::{
    Cancelled, Enqueue, Extend, HeldLease, Lease, LeaseRef, Leased, LeasedTask, List, NewTask,
    Pull, Purged, ReaderId, Room, RouteStats, Routes, Settle, Settled, Settlement, Sweep, Swept,
    TaskFilter, TaskRecord, TaskRequest, Verdict,
};
use crate::error::Error;
use crate::queue::{QueueConfig, QueueName, RetryConfig};
use crate::task::{Deferred, Kind, Shape, TaskId, TaskName, TaskSpec};
use crate::time::{Now, Timestamp};
use crate::version;

/// The duration of the cases' leases.
pub(super) const LEASE: Duration = Duration::from_secs(30);

/// The number of tasks that the cases' leases ask for.
pub(super) const ROOM: Room = Room::new(100);

/// The shape of plain tasks.
const SHAPE: Shape = Shape::from_bits(7);

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// The default time for which a queue blocks the names of finished tasks.
pub(super) const TOMBSTONES: Duration = DAY;

/// The default time for which a queue keeps dead letters.
pub(super) const DEAD_LETTERS: Duration = DAY.saturating_mul(30);

/// Returns the moment `seconds` after the start of every case.
pub(super) const fn at(seconds: i64) -> Timestamp {
    Timestamp::from_micros(1_800_000_000_000_000 + seconds * 1_000_000)
}

/// Returns the last moment before `moment`.
pub(super) fn just_before(moment: Timestamp) -> Timestamp {
    moment.minus(Duration::from_micros(1))
}

pub(super) const fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

pub(super) fn queue(name: &str) -> QueueName {
    QueueName::new(name).expect("the case uses a valid queue name")
}

pub(super) fn kind(kind: &str) -> Kind {
    Kind::new(kind).expect("the case uses a valid kind")
}

pub(super) fn name(name: &str) -> Option<TaskName> {
    Some(TaskName::new(name).expect("the case uses a valid task name"))
}

pub(super) fn retry() -> Verdict {
    Verdict::Retry { error: "it failed".to_owned(), after: None, max_attempts: None }
}

/// Returns a configuration whose pauses begin at 100 ms, for cases that fail a task many times or
/// check a pause.
pub(super) const fn brief() -> RetryConfig {
    RetryConfig::new().with_min_backoff(Duration::from_millis(100))
}

pub(super) fn permanent() -> Verdict {
    Verdict::Permanent { error: "it failed for good".to_owned() }
}

/// Returns the verdict of a reader of the plain tasks' own shape that cannot read the value.
pub(super) fn refuse(error: &str) -> Verdict {
    Verdict::Unreadable { error: error.to_owned(), reader: ReaderId::of_shape(SHAPE) }
}

/// Returns a settlement with `verdict` for an attempt under `lease` that began at `started`.
pub fn settlement(lease: LeaseRef, started: Option<Timestamp>, verdict: Verdict) -> Settlement {
    Settlement { started, ..Settlement::new(lease, verdict) }
}

/// A backend under test.
#[derive(Debug)]
pub(super) struct Stage {
    pub(super) backend: Arc<dyn Pull>,
    ids: AtomicU64,
}

impl Stage {
    pub(super) fn new(backend: Arc<dyn Pull>) -> Self {
        Self { backend, ids: AtomicU64::new(1) }
    }

    /// Returns a plain task for queue `q`, due at once; ids increase from call to call.
    pub(super) fn task(&self) -> NewTask {
        let id = u128::from(self.ids.fetch_add(1, Ordering::Relaxed));
        NewTask::new(
            TaskSpec::new(
                TaskId::from_bytes(id.to_be_bytes()),
                kind("conformance/plain"),
                SHAPE,
                queue("q"),
            ),
            b"payload".to_vec(),
            *b"schema",
        )
    }

    pub(super) fn named(&self, text: &str) -> NewTask {
        self.task().with(|task| task.spec.name = name(text))
    }

    pub(super) async fn enqueue(&self, now: Timestamp, tasks: Vec<NewTask>) -> Vec<Deferred> {
        let request = Enqueue::new(Now::At(now), tasks);
        let answers = self.backend.enqueue(request).await.expect("enqueue answers");
        answers.into_iter().map(|answer| answer.expect("the task is stored")).collect()
    }

    /// Enqueues one task, which may be refused because of its name.
    pub(super) async fn offer(&self, now: Timestamp, task: NewTask) -> Deferred {
        let answers = self.enqueue(now, vec![task]).await;
        assert_eq!(answers.len(), 1, "one task has one answer");
        answers[0]
    }

    /// Enqueues one task that must be created.
    pub(super) async fn store(&self, now: Timestamp, task: NewTask) -> TaskId {
        let id = task.spec.id;
        assert_eq!(self.offer(now, task).await, Deferred::new(id, true));
        id
    }

    /// Stores `count` plain tasks, due at once.
    pub(super) async fn store_plain(&self, now: Timestamp, count: usize) -> Vec<TaskId> {
        let tasks: Vec<_> = (0..count).map(|_| self.task()).collect();
        self.enqueue(now, tasks).await.into_iter().map(|deferred| deferred.id).collect()
    }

    /// Returns a request for tasks of any route from queues `q` and `r`.
    pub(super) fn leasing(&self, now: Timestamp) -> Lease {
        let queues = Arc::new(BTreeSet::from([queue("q"), queue("r")]));
        Lease::new(Now::At(now), queues, Routes::Any, ROOM, LEASE)
    }

    pub(super) async fn lease(&self, request: Lease) -> Leased {
        self.backend.lease(request).await.expect("lease answers")
    }

    /// Leases all due tasks in queues `q` and `r`.
    pub(super) async fn lease_all(&self, now: Timestamp) -> Vec<LeasedTask> {
        self.lease(self.leasing(now)).await.tasks
    }

    /// Leases the only due task.
    pub(super) async fn lease_one(&self, now: Timestamp) -> LeasedTask {
        let mut tasks = self.lease_all(now).await;
        assert_eq!(tasks.len(), 1, "one task is due at {now:?}: {tasks:?}");
        tasks.remove(0)
    }

    pub(super) async fn extend(
        &self,
        now: Timestamp,
        leases: Vec<LeaseRef>,
        duration: Duration,
    ) -> Vec<bool> {
        self.backend
            .extend(Extend::new(Now::At(now), leases, duration))
            .await
            .expect("extend answers")
    }

    pub(super) async fn settle_all(
        &self,
        now: Timestamp,
        settlements: Vec<Settlement>,
    ) -> Vec<Settled> {
        let request = Settle::new(Now::At(now), settlements);
        self.backend.settle(request).await.expect("settle answers")
    }

    pub(super) async fn settle(
        &self,
        now: Timestamp,
        lease: LeaseRef,
        verdict: Verdict,
    ) -> Settled {
        let answers = self.settle_all(now, vec![settlement(lease, None, verdict)]).await;
        assert_eq!(answers.len(), 1, "one settlement has one answer");
        answers[0]
    }

    /// Leases the only due task and settles it at the same moment.
    pub(super) async fn attempt(&self, now: Timestamp, verdict: Verdict) -> Settled {
        let task = self.lease_one(now).await;
        self.settle(now, task.lease, verdict).await
    }

    /// Returns every lease that a sweep shows.
    pub(super) async fn held(&self, now: Timestamp) -> Vec<HeldLease> {
        let request = Sweep::new(Now::At(now), Vec::new(), 0);
        self.backend.sweep(request).await.expect("sweep answers").held
    }

    pub(super) async fn sweep_of(
        &self,
        now: Timestamp,
        lost: Vec<HeldLease>,
        limit: usize,
    ) -> Swept {
        let request = Sweep::new(Now::At(now), lost, limit);
        self.backend.sweep(request).await.expect("sweep answers")
    }

    /// Sweeps as a worker that has seen every expired lease unchanged; the result does not show the
    /// held leases.
    pub(super) async fn sweep(&self, now: Timestamp, limit: usize) -> Swept {
        let lost = self.held(now).await.into_iter().filter(|held| held.expires <= now).collect();
        Swept { held: Vec::new(), ..self.sweep_of(now, lost, limit).await }
    }

    /// Leases the only due task, lets the lease be lost, and returns the moment of its recovery.
    pub(super) async fn lose(&self, now: Timestamp) -> Timestamp {
        self.lose_as(self.leasing(now), now).await
    }

    /// Like [`lose`](Self::lose), for the task leased by `request`.
    pub(super) async fn lose_as(&self, request: Lease, now: Timestamp) -> Timestamp {
        assert_eq!(self.lease(request).await.tasks.len(), 1, "one task is due at {now:?}");
        let recovered = now.plus(LEASE);
        assert_eq!(self.sweep(recovered, 100).await.recovered, 1);
        recovered
    }

    /// Leases all due tasks and lets the leases be lost.
    pub(super) async fn lose_all(&self, now: Timestamp) {
        let leased = self.lease_all(now).await.len() as u64;
        assert_eq!(self.sweep(now.plus(LEASE), 100).await.recovered, leased);
    }

    pub(super) async fn find(&self, id: TaskId) -> Option<TaskRecord> {
        self.backend.get(id).await.expect("get answers")
    }

    pub(super) async fn find_named(&self, of: &str, name: &str) -> Option<TaskRecord> {
        let name = TaskName::new(name).expect("the case uses a valid task name");
        self.backend.find(queue(of), name).await.expect("find answers")
    }

    pub(super) async fn record(&self, id: TaskId) -> TaskRecord {
        self.find(id).await.expect("the task is stored")
    }

    pub(super) async fn list(&self, filter: TaskFilter) -> Vec<TaskRecord> {
        self.backend.list(List::new(filter, 1000).with_payloads()).await.expect("list answers")
    }

    pub(super) async fn all(&self) -> Vec<TaskRecord> {
        self.list(TaskFilter::new()).await
    }

    pub(super) async fn stats(&self, now: Timestamp) -> Vec<RouteStats> {
        self.backend.stats(Now::At(now)).await.expect("stats answers")
    }

    pub(super) async fn delete(&self, now: Timestamp, id: TaskId) -> bool {
        self.backend.delete(touch(now, id)).await.expect("delete answers")
    }

    pub(super) async fn run_now(&self, now: Timestamp, id: TaskId) -> Result<(), Error> {
        self.backend.run_now(touch(now, id)).await
    }

    pub(super) async fn cancel(&self, now: Timestamp, id: TaskId) -> Cancelled {
        self.backend.cancel(touch(now, id)).await.expect("cancel answers")
    }

    /// Returns the leases of cancelled tasks, in the order of the tasks.
    pub(super) async fn cancelled(&self) -> Vec<LeaseRef> {
        let mut leases = self.backend.cancelled().await.expect("cancelled answers");
        leases.sort_unstable_by_key(|lease| lease.id);
        leases
    }

    pub(super) async fn replay(&self, now: Timestamp, id: TaskId) -> Result<(), Error> {
        self.backend.replay(touch(now, id)).await
    }

    pub(super) async fn purge(&self, now: Timestamp, name: &str) -> Purged {
        self.backend.purge(queue(name), Now::At(now)).await.expect("purge answers")
    }

    pub(super) async fn pause(&self, name: &str, paused: bool) {
        self.backend.set_paused(queue(name), paused).await.expect("pause answers");
    }

    /// Configures a queue with pauses that begin at 100 ms.
    pub(super) async fn retry_briefly(&self, name: &str) {
        self.configure(name, QueueConfig::new().with_retry(brief())).await;
    }

    pub(super) async fn configure(&self, name: &str, config: QueueConfig) {
        self.backend.put_queue(queue(name), config).await.expect("put_queue answers");
    }

    /// Returns the stored configuration of a queue.
    pub(super) async fn config(&self, name: &str) -> QueueConfig {
        let queues = self.backend.queues().await.expect("queues answers");
        let record = queues
            .into_iter()
            .find(|record| record.name == queue(name))
            .expect("the queue is stored");
        record.config.expect("its configuration can be read")
    }

    /// Returns a plain task with attributes of a newer version of this crate.
    pub(super) fn newer(&self) -> NewTask {
        self.task().with(|task| task.spec.attributes = Some(vec![version::KNOWN + 1, 7]))
    }
}

fn touch(now: Timestamp, id: TaskId) -> TaskRequest {
    TaskRequest::new(Now::At(now), id)
}

/// Returns the ids of leased tasks, in the order of leasing.
pub(super) fn ids(tasks: &[LeasedTask]) -> Vec<TaskId> {
    tasks.iter().map(|task| task.lease.id).collect()
}

/// Returns the ids of stored tasks, in the order of the listing.
pub(super) fn stored(records: &[TaskRecord]) -> Vec<TaskId> {
    records.iter().map(|record| record.spec.id).collect()
}
