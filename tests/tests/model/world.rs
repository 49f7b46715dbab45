//! Two backends that live the same life, compared after every step.

use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use gae_tasks::backend::{
    Answer, Enqueue, Extend, Lease, LeaseRef, LeaseToken, LeasedTask, List, NewTask, Pull, Purge, Routes, Settle,
    Sweep, TaskFilter, TaskRecord, Touch,
};
use gae_tasks::testing::conformance::settlement;
use gae_tasks::{Kind, Now, QueueName, Route, Shape, TaskId, TaskName, Timestamp};
use proptest::prelude::*;

use crate::step::{End, Plan, Step};

const LEASE: Duration = Duration::from_secs(30);
const TOMBSTONES: Duration = Duration::from_secs(60);
const DEAD_LETTERS: Duration = Duration::from_secs(300);

/// The model and the backend that is compared with it.
pub(crate) struct World {
    backends: [Arc<dyn Pull>; 2],
    now: Timestamp,
    /// Every task that was offered.
    offered: Vec<NewTask>,
    /// Every lease that was given, by either backend.
    leases: Vec<[LeaseRef; 2]>,
}

impl World {
    pub(crate) fn new(model: Arc<dyn Pull>, other: Arc<dyn Pull>) -> Self {
        let now = Timestamp::from_micros(1_800_000_000_000_000);
        Self { backends: [model, other], now, offered: Vec::new(), leases: Vec::new() }
    }

    /// Takes a step on both and compares the answers, and what can be seen afterwards.
    pub(crate) async fn take(&mut self, step: Step) -> Result<(), TestCaseError> {
        let now = Now::At(self.now);
        match step {
            Step::Enqueue(plans) => self.enqueue(plans).await?,
            Step::EnqueueAgain(of) => {
                let tasks: Vec<_> = pick(&self.offered, of).cloned().into_iter().collect();
                self.compare(|_, on| on.enqueue(Enqueue { now, tasks: tasks.clone() })).await?;
            }
            Step::Lease { queues, routes, limit, starting, suspects } => {
                let queues = Arc::new(queues.into_iter().map(queue).collect());
                let routes = routes.map_or(Routes::Any, |routes| {
                    Routes::Only(Arc::new(routes.into_iter().map(|(kind, shape)| route(kind, shape)).collect()))
                });
                self.lease(Lease { now, queues, routes, limit, starting, suspects, duration: LEASE }).await?;
            }
            Step::Extend(of, duration) => {
                let leases = |side: usize| of.iter().filter_map(|of| Some(pick(&self.leases, *of)?[side])).collect();
                self.compare(|side, on| on.extend(Extend { now, leases: leases(side), duration })).await?;
            }
            Step::Settle(ends) => self.settle(ends).await?,
            Step::Pass(time) => self.now = self.now.plus(time),
            other => self.administer(other).await?,
        }
        self.look().await
    }

    async fn administer(&self, step: Step) -> Result<(), TestCaseError> {
        let now = Now::At(self.now);
        let touch = |of| Touch { now, id: self.id(of), tombstones: TOMBSTONES };
        let sweep = Sweep { now, dead_letters: DEAD_LETTERS, tombstones: TOMBSTONES, limit: 1000 };
        let purge = Purge { now, tombstones: TOMBSTONES };
        match step {
            Step::Sweep => self.compare(|_, on| on.sweep(sweep.clone())).await,
            Step::RunNow(of) => self.compare_refusals(|on| on.run_now(touch(of))).await,
            Step::Replay(of) => self.compare_refusals(|on| on.replay(touch(of))).await,
            Step::Delete(of) => self.compare(|_, on| on.delete(touch(of))).await,
            Step::Purge(of) => self.compare(|_, on| on.purge(queue(of), purge)).await,
            Step::Pause(of, paused) => self.compare(|_, on| on.set_paused(queue(of), paused)).await,
            Step::Configure(of, config) => self.compare(|_, on| on.put_queue(queue(of), config.clone())).await,
            step => Err(TestCaseError::fail(format!("no step of an administrator: {step:?}"))),
        }
    }

    async fn enqueue(&mut self, plans: Vec<Plan>) -> Result<(), TestCaseError> {
        let tasks: Vec<_> = (self.offered.len()..).zip(plans).map(|(number, plan)| task(number, plan)).collect();
        self.offered.extend(tasks.iter().cloned());
        self.compare(|_, on| on.enqueue(Enqueue { now: Now::At(self.now), tasks: tasks.clone() })).await
    }

    async fn lease(&mut self, request: Lease) -> Result<(), TestCaseError> {
        let [model, other] = self.both(|_, on| on.lease(request.clone())).await?;
        let leases = model.tasks.iter().zip(&other.tasks).map(|(model, other)| [model.lease, other.lease]);
        self.leases.extend(leases);
        let unmarked = |tasks: Vec<LeasedTask>| tasks.into_iter().map(without_token).collect::<Vec<_>>();
        let bytes = |tasks: &[LeasedTask]| tasks.iter().map(|task| task.payload.clone()).collect::<Vec<_>>();
        same("payload", &bytes(&model.tasks), &bytes(&other.tasks))?;
        same("lease", &(unmarked(model.tasks), model.next), &(unmarked(other.tasks), other.next))
    }

    async fn settle(&self, ends: Vec<End>) -> Result<(), TestCaseError> {
        let settlements = |side: usize| {
            let settlement = |end: &End| {
                let began = end.began.map(|before| self.now.minus(before));
                Some(settlement(pick(&self.leases, end.lease)?[side], began, end.verdict.clone()))
            };
            ends.iter().filter_map(settlement).collect()
        };
        let now = Now::At(self.now);
        let request = |side| Settle { now, settlements: settlements(side), tombstones: TOMBSTONES };
        self.compare(|side, on| on.settle(request(side))).await
    }

    /// Compares all that can be seen without changing anything.
    async fn look(&self) -> Result<(), TestCaseError> {
        let all = List { filter: TaskFilter::new(), after: None, limit: 1000 };
        let [model, other] = self.both(|_, on| on.list(all.clone())).await?;
        same("list", &model, &other)?;
        let bytes = |record: &TaskRecord| (record.payload.clone(), record.attributes.clone());
        same("payload", &model.iter().map(bytes).collect::<Vec<_>>(), &other.iter().map(bytes).collect::<Vec<_>>())?;
        self.compare(|_, on| on.stats(Now::At(self.now))).await?;
        self.compare(|_, on| on.queues()).await
    }

    async fn both<T>(&self, act: impl Fn(usize, &dyn Pull) -> Answer<'_, T>) -> Result<[T; 2], TestCaseError> {
        let [model, other] = &self.backends;
        let failed = |error: gae_tasks::Error| TestCaseError::fail(format!("a backend failed: {error:?}"));
        Ok([act(0, &**model).await.map_err(failed)?, act(1, &**other).await.map_err(failed)?])
    }

    async fn compare<T: Debug>(&self, act: impl Fn(usize, &dyn Pull) -> Answer<'_, T>) -> Result<(), TestCaseError> {
        let [model, other] = self.both(act).await?;
        same("answer", &model, &other)
    }

    /// Compares operations that may be refused.
    async fn compare_refusals(&self, act: impl Fn(&dyn Pull) -> Answer<'_, ()>) -> Result<(), TestCaseError> {
        let [model, other] = &self.backends;
        same("answer", &act(&**model).await, &act(&**other).await)
    }

    /// An id that was offered, or one that never was.
    fn id(&self, of: usize) -> TaskId {
        pick(&self.offered, of).map_or(TaskId::from_bytes([0xfe; 16]), |task| task.id)
    }
}

/// `Debug` tells of payloads their length only, so these are compared beside the answers that have them.
fn same(what: &str, model: &impl Debug, other: &impl Debug) -> Result<(), TestCaseError> {
    prop_assert_eq!(format!("{model:#?}"), format!("{other:#?}"), "another {} than the model's", what);
    Ok(())
}

/// Tokens are random, so they cannot be the same.
fn without_token(mut task: LeasedTask) -> LeasedTask {
    task.lease.token = LeaseToken::from_bits(0);
    task
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
        deadline: None,
        attributes: None,
    }
}

fn queue(name: &str) -> QueueName {
    QueueName::new(name).expect("a queue name")
}

fn route(kind: &str, shape: u64) -> Route {
    Route::new(Kind::new(kind).expect("a kind"), Shape::from_bits(shape))
}
