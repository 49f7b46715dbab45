//! Recording outcomes: tasks that are done by one statement, all others by a transaction.

mod done;
mod record;

use std::collections::HashMap;
use std::mem;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::counted::EndedLeases;
use super::ended::leases_ended;
use super::error::Fault;
use super::patience::Patience;
use super::shared::Shared;
use super::unreadable;
use crate::backend::{LeaseRef, Settle, Settled, Settlement, Verdict};
use crate::time::Now;

/// How long to wait for a task that a transaction of the application has locked, perhaps because it
/// is just ending. The outcomes of other tasks wait for the answer as well.
const PATIENCE: Duration = Duration::from_millis(200);

/// The same where the task may be locked by a try of this request whose answer was lost, which may
/// still be at work.
const LONG: Duration = Duration::from_secs(3);

/// The first and the longest pause between two tries.
const PAUSES: [Duration; 2] = [Duration::from_millis(5), Duration::from_millis(50)];

pub(super) async fn settle(shared: Arc<Shared>, request: Settle) -> Result<Vec<Settled>, Fault> {
    let mut settling = Settling::new(&request);
    let recorded = settling.record_all(&shared).await;
    // Whoever is woken finds what waits again.
    shared.late(settling.age);
    // What has ended has, whatever became of the rest.
    leases_ended(&shared, mem::take(&mut settling.ended), request.now).await;
    recorded?;
    let settled = settling.answers();
    if settled.iter().any(|settled| matches!(settled, Settled::Scheduled(_))) {
        shared.wake();
    }
    Ok(settled)
}

/// The outcomes of a request, and what became of them so far.
struct Settling<'a> {
    now: Now,
    /// For each lease, the first of its settlements.
    settlements: HashMap<LeaseRef, &'a Settlement>,
    leases: Vec<LeaseRef>,
    answers: HashMap<LeaseRef, Settled>,
    /// The leases that are held and whose tasks others have locked.
    locked: Vec<LeaseRef>,
    /// For how long the tasks that wait again have had their places, at most.
    age: Duration,
    /// The leases that have ended and counted.
    ended: EndedLeases,
}

impl<'a> Settling<'a> {
    fn new(request: &'a Settle) -> Self {
        let mut settlements = HashMap::new();
        for settlement in &request.settlements {
            settlements.entry(settlement.lease).or_insert(settlement);
        }
        let leases = request.settlements.iter().map(|settlement| settlement.lease).collect();
        let (answers, locked, age) = (HashMap::new(), Vec::new(), Duration::ZERO);
        let ended = EndedLeases::default();
        Self { now: request.now, settlements, leases, answers, locked, age, ended }
    }

    async fn record_all(&mut self, shared: &Shared) -> Result<(), Fault> {
        let may_be_done = self.record_done(shared).await?;
        self.record(shared, may_be_done).await?;
        self.record_locked(shared, may_be_done).await
    }

    /// Records tasks that are done and have no name. Returns whether a try may have been carried
    /// out although its answer was lost.
    async fn record_done(&mut self, shared: &Shared) -> Result<bool, Fault> {
        let is_done = |settlement: &&&Settlement| {
            settlement.verdict == Verdict::Done && settlement.rolled_back.is_none()
        };
        let done = self.settlements.values().filter(is_done);
        let mut leases: Vec<_> = done.map(|settlement| settlement.lease).collect();
        leases.sort_unstable_by_key(|lease| lease.id);
        let (mut patience, mut is_repeated) = (Patience::new(), false);
        while !leases.is_empty() {
            match done::record(&shared.database, &leases).await {
                Ok(recorded) => {
                    for (lease, counted) in recorded {
                        self.answers.insert(lease, Settled::Done);
                        counted.into_iter().for_each(|counted| self.ended.add(counted, false));
                    }
                    break;
                }
                // They are recorded below, where a fault, or a lock, is that of one task.
                Err(fault) if fault.is_of_data() || fault.is_of_lock() => break,
                Err(fault) if patience.allows(&shared.database, &fault).await => {
                    is_repeated |= fault.is_of_connection();
                }
                Err(fault) => return Err(fault),
            }
        }
        Ok(is_repeated)
    }

    /// Records what is not recorded yet.
    async fn record(&mut self, shared: &Shared, may_be_done: bool) -> Result<(), Fault> {
        let left = self
            .settlements
            .values()
            .filter(|settlement| !self.answers.contains_key(&settlement.lease));
        let left: Vec<_> = left.copied().collect();
        self.record_each(shared, left, may_be_done).await
    }

    async fn record_each(
        &mut self,
        shared: &Shared,
        settlements: Vec<&'a Settlement>,
        may_be_done: bool,
    ) -> Result<(), Fault> {
        self.locked.clear();
        let mut batches = vec![settlements];
        while let Some(batch) = batches.pop() {
            if batch.is_empty() {
                continue;
            }
            match record::record(shared, self.now, &batch, may_be_done).await {
                Ok(recorded) => {
                    self.answers.extend(recorded.answers);
                    self.locked.extend(recorded.locked);
                    self.age = self.age.max(recorded.age);
                    self.ended.append(recorded.ended);
                }
                Err(fault) if fault.is_of_data() && batch.len() > 1 => {
                    batches.extend(batch.into_iter().map(|settlement| vec![settlement]));
                }
                // Nobody extends the lease any more; the task is recovered when the rule permits
                // it.
                Err(fault) if fault.is_of_data() => {
                    batch.iter().for_each(|settlement| {
                        unreadable::refused(&shared.database, settlement.lease.id, &fault);
                    });
                }
                Err(fault) => return Err(fault),
            }
        }
        Ok(())
    }

    /// Records the outcomes of tasks that a transaction of the application has locked and that ends
    /// soon.
    async fn record_locked(&mut self, shared: &Shared, may_be_done: bool) -> Result<(), Fault> {
        let (begun, [mut pause, longest]) = (Instant::now(), PAUSES);
        let patience = if may_be_done { LONG } else { PATIENCE };
        while !self.locked.is_empty() && begun.elapsed() < patience {
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(longest);
            let locked = self.locked.iter().filter_map(|lease| self.settlements.get(lease));
            let locked: Vec<_> = locked.copied().collect();
            self.record_each(shared, locked, may_be_done).await?;
        }
        Ok(())
    }

    /// Returns the answers, in the order of the request.
    fn answers(mut self) -> Vec<Settled> {
        self.answers.extend(self.locked.iter().map(|lease| (*lease, Settled::Locked)));
        // Of several settlements of one lease, the first is the one that was recorded.
        let answer = |lease| self.answers.remove(lease).unwrap_or(Settled::LeaseLost);
        self.leases.iter().map(answer).collect()
    }
}
