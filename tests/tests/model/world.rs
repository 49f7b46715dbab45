//! Two backends that live the same life, compared after every step: memory, and a file behind faults.

use std::fmt::Debug;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use gae_tasks::backend::memory::Memory;
use gae_tasks::backend::sqlite::Sqlite;
use gae_tasks::backend::{
    Answer, Enqueue, Extend, Lease, LeaseRef, LeaseToken, Leased, LeasedTask, List, NewTask, Pull, Purge, Routes,
    Settle, Sweep, TaskFilter, TaskRecord, Touch,
};
use gae_tasks::testing::conformance::settlement;
use gae_tasks::testing::{Fault, Faulty, ManualClock, Operation};
use gae_tasks::{Clock, Kind, Now, QueueName, Route, Shape, TaskId, TaskName};
use tempfile::TempDir;

use crate::step::{Act, End, Plan, Step};

const LEASE: Duration = Duration::from_secs(30);
const TOMBSTONES: Duration = Duration::from_secs(60);
const DEAD_LETTERS: Duration = Duration::from_secs(300);

/// Longer than any lease is extended by.
const ALL_LEASES_OVER: Duration = Duration::from_secs(4_001);

/// How long a slow call is on its way.
const SLOW: Duration = Duration::from_secs(1);

/// The model and the backend that is compared with it.
pub(crate) struct World {
    model: Memory,
    other: Faulty<Sqlite>,
    folder: TempDir,
    clock: ManualClock,
    /// Every task that was offered.
    offered: Vec<NewTask>,
    /// Every lease that was given, by the model and by the other.
    leases: Vec<[LeaseRef; 2]>,
}

impl World {
    pub(crate) async fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let (other, model) = (open(&folder).await, Memory::new());
        Self { model, other, folder, clock: ManualClock::new(), offered: Vec::new(), leases: Vec::new() }
    }

    /// Takes a step on both and compares the answers.
    pub(crate) async fn take(&mut self, Step { act, fault }: Step) {
        let (now, tombstones) = (self.clock.now(), TOMBSTONES);
        let touch = |of| Touch { now, id: self.id(of), tombstones };
        match act {
            Act::Enqueue(plans) => {
                let first = self.offered.len();
                self.offered.extend((first..).zip(plans).map(|(number, plan)| task(number, plan)));
                let tasks = &self.offered[first..];
                self.ask(Operation::Enqueue, fault, |_, on| enqueue(on, now, tasks)).await;
            }
            Act::EnqueueAgain(of) => {
                let tasks: Vec<_> = pick(&self.offered, of).cloned().into_iter().collect();
                self.ask(Operation::Enqueue, fault, |_, on| enqueue(on, now, &tasks)).await;
            }
            Act::Lease { queues, routes, limit, starting, suspects } => {
                let queues = Arc::new(queues.into_iter().map(queue).collect());
                let routes = routes.map_or(Routes::Any, |routes| {
                    Routes::Only(Arc::new(routes.into_iter().map(|(kind, shape)| route(kind, shape)).collect()))
                });
                self.lease(Lease { now, queues, routes, limit, starting, suspects, duration: LEASE }, fault).await;
            }
            Act::Extend(of, duration) => {
                let leases = |side: usize| of.iter().filter_map(|of| Some(pick(&self.leases, *of)?[side])).collect();
                let extend = |side| Extend { now, leases: leases(side), duration };
                self.ask(Operation::Extend, fault, |side, on| on.extend(extend(side))).await;
            }
            Act::Settle(ends) => self.settle(now, &ends, fault).await,
            Act::Sweep => self.sweep(fault).await,
            Act::RunNow(of) => _ = self.ask(Operation::RunNow, fault, |_, on| on.run_now(touch(of))).await,
            Act::Replay(of) => _ = self.ask(Operation::Replay, fault, |_, on| on.replay(touch(of))).await,
            Act::Delete(of) => _ = self.ask(Operation::Delete, fault, |_, on| on.delete(touch(of))).await,
            Act::Purge(of) => {
                let purge = Purge { now, tombstones };
                self.ask(Operation::Purge, fault, |_, on| on.purge(queue(of), purge)).await;
            }
            Act::Pause(of, paused) => {
                self.ask(Operation::SetPaused, fault, |_, on| on.set_paused(queue(of), paused)).await;
            }
            Act::Configure(of, config) => {
                self.ask(Operation::PutQueue, fault, |_, on| on.put_queue(queue(of), config.clone())).await;
            }
            Act::Page(filter, limit) => {
                let list = List { filter, after: self.offered.first().map(|task| task.id), limit };
                self.ask(Operation::List, fault, |_, on| on.list(list.clone())).await;
            }
            Act::Pass(time) => self.clock.advance(time),
            Act::Reopen => self.reopen().await,
        }
    }

    /// Asks both the same and compares the answers; gives them, unless something went wrong.
    async fn ask<T: Debug>(
        &self,
        operation: Operation,
        fault: Option<Fault>,
        call: impl Fn(usize, &dyn Pull) -> Answer<'_, T>,
    ) -> Option<[T; 2]> {
        if let Some(fault) = fault {
            _ = self.other.clone().with(operation, 1, fault);
        }
        let mut answer = call(1, &self.other);
        if fault == Some(Fault::Slow) {
            let is_pending = std::future::poll_fn(|cx| Poll::Ready(answer.as_mut().poll(cx).is_pending())).await;
            assert!(is_pending, "{operation:?} was not slow");
            self.clock.advance(SLOW);
            self.other.go_on();
        }
        let other = answer.await;
        match fault {
            Some(Fault::Fail | Fault::DiskFull) => assert!(other.is_err(), "{operation:?} did not fail: {other:?}"),
            Some(Fault::LoseAnswer) => {
                assert!(other.is_err(), "{operation:?} was answered: {other:?}");
                _ = call(0, &self.model).await;
            }
            _ => {
                let model = call(0, &self.model).await;
                same("answer", &model, &other);
                return Some([model.ok()?, other.ok()?]);
            }
        }
        None
    }

    async fn lease(&mut self, request: Lease, fault: Option<Fault>) {
        let answers = self.ask(Operation::Lease, fault, |_, on| {
            let answer = on.lease(request.clone());
            Box::pin(async { Ok(Answered::of(answer.await?)) })
        });
        let Some([model, other]) = answers.await else { return };
        let bytes = |tasks: &[LeasedTask]| tasks.iter().map(|task| task.payload.clone()).collect::<Vec<_>>();
        same("payload", &bytes(&model.answer.tasks), &bytes(&other.answer.tasks));
        self.leases.extend(model.tokens.into_iter().zip(other.tokens).map(|(model, other)| [model, other]));
    }

    async fn settle(&self, now: Now, ends: &[End], fault: Option<Fault>) {
        let settlements = |side: usize| {
            let settlement = |end: &End| {
                let began = end.began.map(|before| now.resolve(|| unreachable!()).minus(before));
                Some(settlement(pick(&self.leases, end.lease)?[side], began, end.verdict.clone()))
            };
            ends.iter().filter_map(settlement).collect()
        };
        let request = |side| Settle { now, settlements: settlements(side), tombstones: TOMBSTONES };
        self.ask(Operation::Settle, fault, |side, on| on.settle(request(side))).await;
    }

    async fn sweep(&self, fault: Option<Fault>) {
        let now = self.clock.now();
        let sweep = Sweep { now, dead_letters: DEAD_LETTERS, tombstones: TOMBSTONES, limit: 1000 };
        self.ask(Operation::Sweep, fault, |_, on| on.sweep(sweep.clone())).await;
    }

    /// Opens the file again, once no lease is left: a file that is closed gives up its own.
    pub(crate) async fn reopen(&mut self) {
        self.clock.advance(ALL_LEASES_OVER);
        self.sweep(None).await;
        // The old handle must be gone before there is a new one.
        let elsewhere = tempfile::tempdir().expect("a folder");
        self.other = open(&elsewhere).await;
        self.other = open(&self.folder).await;
    }

    /// Compares all that can be seen without changing anything.
    pub(crate) async fn look(&self) {
        let list = List { filter: TaskFilter::new(), after: None, limit: 1000 };
        let all = self.ask(Operation::List, None, |_, on| on.list(list.clone())).await;
        let [model, other] = all.expect("an answer");
        let bytes = |record: &TaskRecord| (record.payload.clone(), record.attributes.clone());
        same("payload", &model.iter().map(bytes).collect::<Vec<_>>(), &other.iter().map(bytes).collect::<Vec<_>>());
        self.ask(Operation::Stats, None, |_, on| on.stats(self.clock.now())).await;
        self.ask(Operation::Queues, None, |_, on| on.queues()).await;
    }

    /// An id that was offered, or one that never was.
    fn id(&self, of: usize) -> TaskId {
        pick(&self.offered, of).map_or(TaskId::from_bytes([0xfe; 16]), |task| task.id)
    }
}

/// The answer to a lease. Tokens are random, so that they are kept apart from what is compared.
struct Answered {
    tokens: Vec<LeaseRef>,
    answer: Leased,
}

impl Answered {
    fn of(mut answer: Leased) -> Self {
        let tokens = answer.tasks.iter().map(|task| task.lease).collect();
        answer.tasks.iter_mut().for_each(|task| task.lease.token = LeaseToken::from_bits(0));
        Self { tokens, answer }
    }
}

impl Debug for Answered {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.answer.fmt(f)
    }
}

async fn open(folder: &TempDir) -> Faulty<Sqlite> {
    Faulty::new(Sqlite::open(folder.path().join("tasks.db")).await.expect("a file that opens"))
}

fn enqueue<'a>(
    on: &'a dyn Pull,
    now: Now,
    tasks: &[NewTask],
) -> Answer<'a, Vec<Result<gae_tasks::Deferred, gae_tasks::Error>>> {
    on.enqueue(Enqueue { now, tasks: tasks.to_vec() })
}

/// `Debug` tells of payloads their length only, so these are compared beside the answers that have them.
fn same(what: &str, model: &impl Debug, other: &impl Debug) {
    assert_eq!(format!("{model:#?}"), format!("{other:#?}"), "another {what} than the model's");
}

/// One of the newer ones mostly: the older ones tend to be over.
fn pick<T>(all: &[T], number: usize) -> Option<&T> {
    let recent = if number.is_multiple_of(4) { all } else { &all[all.len().saturating_sub(5)..] };
    recent.get(number.checked_rem(recent.len())?)
}

/// The task of a plan; the order of ids is not the order of offering.
fn task(number: usize, plan: Plan) -> NewTask {
    let number = u64::try_from(number).expect("a short life");
    let id = u128::from(number.wrapping_mul(0x9e37_79b9_7f4a_7c15)) << 64 | u128::from(number);
    NewTask {
        id: TaskId::from_bytes(id.to_be_bytes()),
        kind: Kind::new(plan.kind).expect("a kind"),
        shape: Shape::from_bits(plan.shape),
        payload: plan.payload,
        queue: queue(plan.queue),
        name: plan.name.map(|name| TaskName::new(name).expect("a name")),
        schedule: plan.schedule,
        max_attempts: plan.max_attempts,
        retry: plan.retry,
        deadline: plan.deadline,
        attributes: plan.attributes,
    }
}

fn queue(name: &str) -> QueueName {
    QueueName::new(name).expect("a queue name")
}

fn route(kind: &str, shape: u64) -> Route {
    Route::new(Kind::new(kind).expect("a kind"), Shape::from_bits(shape))
}
