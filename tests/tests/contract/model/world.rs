//! Two backends that live the same life, compared after every step.

use std::collections::BTreeSet;
use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use gae_tasks::backend::memory::Memory;
use gae_tasks::backend::{
    Backend, BackendFuture, DeleteQueue, Enqueue, Extend, HeldLease, Lease, LeaseRef, LeaseToken,
    LeasedTask, List, NewTask, Pull, ReaderId, ReadsRoutes, ReplaceQueue, Room, Routes, Settle,
    Settled, Sweep, Swept, TaskFilter, TaskRequest, TaskState, TypeBackoff, Verdict,
};
use gae_tasks::testing::conformance::settlement;
use gae_tasks::testing::{Fault, Faulty, ManualClock, Operation};
use gae_tasks::{
    Error, Kind, Now, QueueConfig, QueueName, Route, Shape, TaskId, TaskName, TaskSpec, Timestamp,
    UniqueKey,
};
use proptest::prelude::*;

use crate::tested::{ARE_IN_ORDER, Tested};

use super::pause;
use super::step::{Deed, End, QUEUES, SHAPES, Script, Step, Upset};

const LEASE: Duration = Duration::from_secs(30);
const TOMBSTONES: Duration = Duration::from_secs(60);
const DEAD_LETTERS: Duration = Duration::from_secs(300);

/// The model and the backend that is compared with it.
pub(crate) struct World {
    model: Memory,
    tested: Tested,
    clock: ManualClock,
    /// The trouble with the next call.
    upset: Option<Upset>,
    /// All offered tasks.
    offered: Vec<NewTask>,
    /// All leases that either backend has returned.
    leases: Vec<[LeaseRef; 2]>,
}

/// A worker that reads the listed routes if their schemas are stored.
#[derive(Debug)]
struct Reader {
    listed: BTreeSet<Route>,
    reader: ReaderId,
}

impl ReadsRoutes for Reader {
    fn reader(&self, route: &Route, schema: Option<&[u8]>) -> Option<ReaderId> {
        (self.listed.contains(route) && schema.is_some()).then_some(self.reader)
    }
}

impl World {
    pub(crate) async fn new() -> Self {
        let clock = ManualClock::at(Timestamp::from_micros(1_800_000_000_000_000));
        let (model, tested) = (Memory::new(), Tested::new().await);
        let briefly = QueueConfig::new()
            .with_tombstone_retention(TOMBSTONES)
            .with_dead_letter_retention(DEAD_LETTERS);
        for backend in [&model as &dyn Pull, &tested.backend] {
            for name in QUEUES {
                backend
                    .put_queue(queue(name), briefly.clone())
                    .await
                    .expect("the queue is configured");
            }
        }
        Self { model, tested, clock, upset: None, offered: Vec::new(), leases: Vec::new() }
    }

    /// Takes a step on both backends, and compares the results and the visible state afterwards.
    pub(crate) async fn take(mut self, deed: Deed) -> Result<Self, TestCaseError> {
        self.upset = deed.upset;
        match deed.step {
            Step::Pass(time) => self.clock.advance(time),
            Step::SetBack(time) => self.clock.step_to(self.clock.time().minus(time)),
            Step::Reopen => self.tested = self.reopened().await?,
            Step::Enqueue(plans) => {
                let tasks: Vec<_> = (self.offered.len()..)
                    .zip(plans)
                    .map(|(number, plan)| task(number, plan))
                    .collect();
                self.offered.extend(tasks.iter().cloned());
                self.enqueue(tasks).await?;
            }
            Step::EnqueueAgain(of) => {
                self.enqueue(pick(&self.offered, of).cloned().into_iter().collect()).await?
            }
            Step::Lease {
                queues,
                routes,
                reader,
                limit,
                starting,
                suspects,
                in_company,
                startable,
                is_reserved,
                last_turn,
                bound,
            } => {
                let queues = Arc::new(queues.into_iter().map(queue).collect());
                let routes = routes.map_or(Routes::Any, |routes| {
                    let listed: BTreeSet<_> =
                        routes.into_iter().map(|(kind, shape)| route(kind, shape)).collect();
                    match reader.map(ReaderId::from_bits) {
                        Some(reader) => Routes::Read(Arc::new(Reader { listed, reader })),
                        None => Routes::Only(Arc::new(listed)),
                    }
                });
                let mut room = Room::new(limit);
                (room.starting, room.suspects, room.in_company) = (starting, suspects, in_company);
                (room.startable, room.is_reserved) = (startable, is_reserved);
                let mut request = Lease::new(self.now(), queues, routes, room, LEASE);
                request.last_turn = last_turn.map(queue);
                request.bounds =
                    bound.into_iter().map(|(name, most)| (queue(name), most)).collect();
                self.lease(request).await?;
            }
            Step::Extend(..) | Step::Settle(_) | Step::SettleStale(_) | Step::Sweep => {
                self.hold(deed.step).await?
            }
            other => self.administer(other).await?,
        }
        self.look().await?;
        Ok(self)
    }

    fn now(&self) -> Now {
        Now::At(self.clock.time())
    }

    /// Opens the backend after its process was killed or ended normally, which would release its
    /// leases.
    async fn reopened(&mut self) -> Result<Tested, TestCaseError> {
        let filter = TaskFilter::new().state(TaskState::Leased);
        let leased = self.model.list(List::new(filter, 1)).await.map_err(failed)?;
        let tested = std::mem::replace(&mut self.tested, Tested::new().await);
        Ok(if leased.is_empty() {
            tested.close_and_open().await
        } else {
            tested.kill_and_open().await
        })
    }

    async fn enqueue(&mut self, tasks: Vec<NewTask>) -> Result<(), TestCaseError> {
        let request = Enqueue::new(self.now(), tasks);
        self.compare(Operation::Enqueue, |_, on| on.enqueue(request.clone())).await
    }

    async fn lease(&mut self, request: Lease) -> Result<(), TestCaseError> {
        let answers = self.ask(Operation::Lease, |_, on| on.lease(request.clone())).await?;
        let Some([model, tested]) = answers else { return Ok(()) };
        let (model, tested) = (model.map_err(failed)?, tested.map_err(failed)?);
        let leases = model
            .tasks
            .iter()
            .zip(&tested.tasks)
            .map(|(model, tested)| [model.lease, tested.lease]);
        self.leases.extend(leases);
        let unmarked =
            |tasks: Vec<LeasedTask>| tasks.into_iter().map(without_token).collect::<Vec<_>>();
        let bytes = |tasks: &[LeasedTask]| {
            tasks
                .iter()
                .map(|task| (task.payload.clone(), task.spec.attributes.clone()))
                .collect::<Vec<_>>()
        };
        same("payload", &bytes(&model.tasks), &bytes(&tested.tasks))?;
        let held_back = (model.held_back, tested.held_back);
        same(
            "lease",
            &(unmarked(model.tasks), model.next),
            &(unmarked(tested.tasks), tested.next),
        )?;
        same("rest", &held_back.0, &held_back.1)
    }

    /// Takes a worker's step with its own leases or with those of others.
    async fn hold(&mut self, step: Step) -> Result<(), TestCaseError> {
        let now = self.now();
        match step {
            Step::Extend(of, duration) => {
                let picked: Vec<_> =
                    of.iter().filter_map(|of| pick(&self.leases, *of)).copied().collect();
                let leases = |side: usize| picked.iter().map(|lease| lease[side]).collect();
                self.compare(Operation::Extend, |side, on| {
                    on.extend(Extend::new(now, leases(side), duration))
                })
                .await
            }
            Step::Settle(ends) => {
                let picked = ends
                    .into_iter()
                    .filter_map(|end| Some((*pick(&self.leases, end.lease)?, end)))
                    .collect();
                self.settle(picked).await
            }
            Step::SettleStale(of) => {
                let lease = LeaseRef::new(self.id(of), LeaseToken::from_bits(-7));
                let stale = End {
                    lease: 0,
                    began: None,
                    verdict: Verdict::Done,
                    backoff: TypeBackoff::NONE,
                };
                self.settle(vec![([lease; 2], stale)]).await
            }
            _ => self.sweep().await,
        }
    }

    /// Sweeps as a worker that has seen every expired lease unchanged.
    async fn sweep(&mut self) -> Result<(), TestCaseError> {
        let request = |lost, limit| Sweep::new(self.now(), lost, limit);
        let mut sweeps = Vec::new();
        for backend in [&self.model as &dyn Pull, &self.tested.backend] {
            let held = backend.sweep(request(Vec::new(), 0)).await.map_err(failed)?.held;
            let has_expired = |held: &HeldLease| held.expires <= self.clock.time();
            sweeps.push(request(held.into_iter().filter(has_expired).collect(), 1000));
        }
        let answers = self.ask(Operation::Sweep, |side, on| on.sweep(sweeps[side].clone())).await?;
        let Some([model, tested]) = answers else { return Ok(()) };
        same("sweep", &model.map(without_tokens), &tested.map(without_tokens))
    }

    async fn settle(&mut self, ends: Vec<([LeaseRef; 2], End)>) -> Result<(), TestCaseError> {
        let time = self.clock.time();
        let settlements = |side: usize| {
            let settled = |(lease, end): &([LeaseRef; 2], End)| {
                let began = end.began.map(|before| time.minus(before));
                let mut settlement = settlement(lease[side], began, end.verdict.clone());
                settlement.backoff = end.backoff;
                settlement
            };
            ends.iter().map(settled).collect()
        };
        let request = |side| Settle::new(Now::At(time), settlements(side));
        let answers = self.ask(Operation::Settle, |side, on| on.settle(request(side))).await?;
        let Some([model, tested]) = answers else { return Ok(()) };
        same("answer", &model, &tested)?;
        for ((lease, end), settled) in ends.iter().zip(tested.map_err(failed)?) {
            if let Settled::Scheduled(next) = settled {
                self.check_pause(lease[1].id, end, next).await?;
            }
        }
        Ok(())
    }

    /// Checks that the pause before a retry agrees with the backoff.
    async fn check_pause(
        &self,
        id: TaskId,
        end: &End,
        next: Timestamp,
    ) -> Result<(), TestCaseError> {
        if !matches!(end.verdict, Verdict::Retry { after: None, .. }) {
            return Ok(());
        }
        let record = self.tested.backend.get(id).await.map_err(failed)?;
        let record = record.ok_or_else(|| TestCaseError::fail("a waiting task is gone"))?;
        let queues = self.tested.backend.queues().await.map_err(failed)?;
        let queue = queues
            .into_iter()
            .find(|queue| queue.name == record.spec.queue)
            .and_then(|queue| queue.config);
        pause::check(
            &record,
            &queue.unwrap_or_default(),
            end.backoff,
            next.since(self.clock.time()),
        )
    }

    async fn administer(&mut self, step: Step) -> Result<(), TestCaseError> {
        let now = self.now();
        let touch = |id| TaskRequest::new(now, id);
        match step {
            Step::RunNow(of) => {
                let touch = touch(self.id(of));
                self.compare(Operation::RunNow, |_, on| on.run_now(touch)).await
            }
            Step::Cancel(of) => {
                let touch = touch(self.id(of));
                self.compare(Operation::Cancel, |_, on| on.cancel(touch)).await
            }
            Step::Replay(of) => {
                let touch = touch(self.id(of));
                self.compare(Operation::Replay, |_, on| on.replay(touch)).await
            }
            Step::Delete(of) => {
                let touch = touch(self.id(of));
                self.compare(Operation::Delete, |_, on| on.delete(touch)).await
            }
            Step::Purge(of) => {
                self.compare(Operation::Purge, |_, on| on.purge(queue(of), now)).await
            }
            Step::DeleteQueue(of, with_tasks) => {
                let mut delete = DeleteQueue::new(now, queue(of));
                delete.with_tasks = with_tasks;
                self.compare(Operation::DeleteQueue, |_, on| on.delete_queue(delete.clone())).await
            }
            Step::Pause(of, paused) => {
                self.compare(Operation::SetPaused, |_, on| on.set_paused(queue(of), paused)).await
            }
            Step::Configure(of, config) => {
                self.compare(Operation::PutQueue, |_, on| on.put_queue(queue(of), config.clone()))
                    .await
            }
            Step::Replace(of, config) => {
                let replace = ReplaceQueue::new(queue(of), config);
                self.compare(Operation::ReplaceQueue, |_, on| on.replace_queue(replace.clone()))
                    .await
            }
            Step::Find(of, name) => {
                let name = TaskName::new(name).expect("a task name");
                self.compare(Operation::Find, |_, on| on.find(queue(of), name.clone())).await
            }
            Step::List { filter, after, limit, newest_first, with_payloads } => {
                let mut list = List::new(filter, limit).after(after.map(|of| self.id(of)));
                (list.newest_first, list.with_payloads) = (newest_first, with_payloads);
                self.compare(Operation::List, |_, on| on.list(list.clone())).await
            }
            step => Err(TestCaseError::fail(format!("not a step of an administrator: {step:?}"))),
        }
    }

    /// Compares the visible state without changing it.
    async fn look(&mut self) -> Result<(), TestCaseError> {
        same(
            "view",
            &view(&self.model, self.now()).await?,
            &view(&self.tested.backend, self.now()).await?,
        )
    }

    async fn compare<T: Debug>(
        &mut self,
        operation: Operation,
        act: impl Fn(usize, &dyn Pull) -> BackendFuture<'_, T>,
    ) -> Result<(), TestCaseError> {
        match self.ask(operation, act).await? {
            Some([model, tested]) => same("answer", &model, &tested),
            None => Ok(()),
        }
    }

    /// Calls both backends, with the trouble, and returns the results, unless the caller gets none.
    async fn ask<T: Debug>(
        &mut self,
        operation: Operation,
        act: impl Fn(usize, &dyn Pull) -> BackendFuture<'_, T>,
    ) -> Result<Option<[Result<T, Error>; 2]>, TestCaseError> {
        let (model, tested) = (&self.model, &self.tested.backend);
        let plan = |fault| drop(tested.clone().with(operation, 1, fault));
        match self.upset.take() {
            None => return Ok(Some([act(0, model).await, act(1, tested).await])),
            Some(Upset::Fault(Fault::Stall)) => {
                plan(Fault::Stall);
                let (answer, ()) = tokio::join!(biased; act(1, tested), let_go(tested));
                return Ok(Some([act(0, model).await, answer]));
            }
            Some(Upset::Fault(fault)) => {
                plan(fault);
                prop_assert!(act(1, tested).await.is_err(), "{:?} returned no error", fault);
                if fault == Fault::LoseAnswer {
                    // The call may still be refused.
                    _ = act(0, model).await;
                }
            }
            Some(Upset::HangUp { stalled }) => {
                if stalled {
                    plan(Fault::Stall);
                }
                if ARE_IN_ORDER || stalled {
                    drop(act(1, tested));
                } else {
                    _ = act(1, tested).await;
                }
                // A part in progress is over when a later call returns.
                tested.enqueue(Enqueue::new(self.now(), Vec::new())).await.map_err(failed)?;
                let has_happened =
                    view(model, self.now()).await? != view(tested, self.now()).await?;
                prop_assert!(
                    !(stalled && has_happened),
                    "a stalled call that was dropped has happened"
                );
                if has_happened {
                    act(0, model).await.map_err(failed)?;
                }
            }
        }
        Ok(None)
    }

    /// Returns an id that was offered, or one that never was.
    fn id(&self, of: usize) -> TaskId {
        pick(&self.offered, of).map_or(TaskId::from_bytes([0xfe; 16]), |task| task.spec.id)
    }
}

/// Checks that other calls return while the only call is stalled, and then resumes that call.
async fn let_go<B: Pull>(tested: &Faulty<B>) {
    assert_eq!(tested.stalled(), 1);
    tested.queues().await.expect("another call is answered");
    tested.let_go();
}

/// Returns the visible state as text.
async fn view(backend: &dyn Pull, now: Now) -> Result<String, TestCaseError> {
    let all = List::new(TaskFilter::new(), 1000).with_payloads();
    let records = backend.list(all).await.map_err(failed)?;
    let schemas = backend.schemas(SHAPES.map(Shape::from_bits).into()).await.map_err(failed)?;
    // `Debug` shows only the length of a payload.
    let bytes: Vec<_> =
        records.iter().map(|record| (&record.payload, &record.spec.attributes)).collect();
    let stats = backend.stats(now).await.map_err(failed)?;
    let queues = backend.queues().await.map_err(failed)?;
    let cancelled = backend.cancelled().await.map_err(failed)?;
    let cancelled: BTreeSet<_> = cancelled.iter().map(|lease| lease.id).collect();
    Ok(format!("{records:#?}\n{bytes:?}\n{schemas:?}\n{stats:#?}\n{queues:#?}\n{cancelled:?}"))
}

fn failed(error: Error) -> TestCaseError {
    TestCaseError::fail(format!("a backend failed: {error:?}"))
}

/// Compares two results by `Debug`, which shows only the length of payloads: these are compared
/// separately.
fn same(what: &str, model: &impl Debug, other: &impl Debug) -> Result<(), TestCaseError> {
    prop_assert_eq!(
        format!("{model:#?}"),
        format!("{other:#?}"),
        "the {} differs from the model's",
        what
    );
    Ok(())
}

fn without_tokens(mut swept: Swept) -> Swept {
    swept.forgotten_tasks.sort_by_key(|task| task.id);
    swept.held.iter_mut().for_each(|held| held.lease.token = LeaseToken::from_bits(0));
    swept
}

/// Tokens are random, so they cannot be the same.
fn without_token(mut task: LeasedTask) -> LeasedTask {
    task.lease.token = LeaseToken::from_bits(0);
    task
}

/// Selects mostly a newer one, because older ones tend to be over.
fn pick<T>(all: &[T], number: usize) -> Option<&T> {
    let recent = if number.is_multiple_of(4) { all } else { &all[all.len().saturating_sub(5)..] };
    recent.get(number.checked_rem(recent.len())?)
}

/// Returns the task of a plan; ids are not in the order of offering.
fn task(number: usize, plan: Script) -> NewTask {
    let number = u64::try_from(number).expect("a short life");
    let id = u128::from(number.wrapping_mul(0x9e37_79b9_7f4a_7c15)) << 64 | u128::from(number);
    NewTask::new(
        TaskSpec::new(
            TaskId::from_bytes(id.to_be_bytes()),
            Kind::new(plan.kind).expect("a kind"),
            Shape::from_bits(plan.shape),
            queue(plan.queue),
        ),
        plan.payload,
        if plan.has_schema { plan.shape.to_be_bytes().to_vec() } else { Vec::new() },
    )
    .with(|task| {
        task.spec.name = plan.name.map(|name| TaskName::new(name).expect("a name"));
        if let Some((key, rules)) = plan.unique {
            task.spec.unique = Some(UniqueKey::new([key; 16], rules.over_finished));
            task.on_conflict = rules;
        }
        task.spec.max_attempts = plan.max_attempts;
        task.spec.retry = plan.retry;
        task.spec.deadline = plan.deadline;
        task.spec.priority = plan.priority;
        task.spec.attributes = plan.attributes;
        task.schedule = plan.schedule;
    })
}

fn queue(name: &str) -> QueueName {
    QueueName::new(name).expect("a queue name")
}

fn route(kind: &str, shape: u64) -> Route {
    Route::new(Kind::new(kind).expect("a kind"), Shape::from_bits(shape))
}
