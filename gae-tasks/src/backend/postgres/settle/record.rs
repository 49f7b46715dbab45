//! Outcomes of all sorts, by one transaction.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use crate::backend::lifecycle::{self, Ended};
use crate::backend::postgres::change::{self, Changed, EndedLease, NoLane};
use crate::backend::postgres::commit::commit_change;
use crate::backend::postgres::counted::EndedLeases;
use crate::backend::postgres::error::Fault;
use crate::backend::postgres::patience::Patience;
use crate::backend::postgres::shared::Shared;
use crate::backend::postgres::task::{Task, uuid};
use crate::backend::postgres::work::Work;
use crate::backend::{LeaseRef, Settled, Settlement, Verdict};
use crate::task::TaskId;
use crate::time::{Now, Timestamp};

/// What became of outcomes.
#[derive(Debug, Default)]
pub(super) struct Recorded {
    /// The answers of leases that were held, or whose tasks are over.
    pub(super) answers: HashMap<LeaseRef, Settled>,
    /// The leases that are held and whose tasks others have locked: nothing was recorded of them.
    pub(super) locked: Vec<LeaseRef>,
    /// For how long the tasks that wait again have had their places, at most.
    pub(super) age: Duration,
    /// The leases that have ended and counted, because their queues have limits.
    pub(super) ended: EndedLeases,
}

/// Why nothing was recorded.
enum Failed {
    By(Fault),
    /// Lanes must be made first, outside of the transaction.
    For(Vec<NoLane>),
}

impl<E: Into<Fault>> From<E> for Failed {
    fn from(fault: E) -> Self {
        Self::By(fault.into())
    }
}

/// Records outcomes, each of another lease. `may_be_done` says whether those that are done may have
/// been recorded before.
pub(super) async fn record(
    shared: &Shared,
    now: Now,
    settlements: &[&Settlement],
    may_be_done: bool,
) -> Result<Recorded, Fault> {
    let (mut patience, mut is_made) = (Patience::new(), false);
    loop {
        match record_once(shared, now, settlements, may_be_done).await {
            Ok(recorded) => return Ok(recorded),
            Err(Failed::For(lanes)) if !is_made => {
                for NoLane { lane, refusers, forced } in lanes {
                    let (database, catalogue) = (&shared.database, &shared.catalogue);
                    catalogue.lane_like(database, lane, refusers, forced).await?;
                }
                is_made = true;
            }
            Err(Failed::For(_)) => return Err(Fault::Unreadable("a lane just made".to_owned())),
            Err(Failed::By(fault)) => {
                if !patience.allows(&shared.database, &fault).await {
                    return Err(fault);
                }
            }
        }
    }
}

async fn record_once(
    shared: &Shared,
    now: Now,
    settlements: &[&Settlement],
    may_be_done: bool,
) -> Result<Recorded, Failed> {
    let mut work = shared.database.begin().await?;
    let begun = change::begin(shared, &mut work, now).await?;
    let found = Found::new(shared, &mut work, settlements, may_be_done).await?;
    let epoch = shared.catalogue.epoch_of(&work)?;
    let (mut recorded, changed) = found.decide(shared, settlements, begun.now)?;
    let ages = changed.iter().filter_map(|changed| changed.age(begun.now));
    recorded.age = ages.max().unwrap_or_default();
    // The lanes of tasks that were refused are those of this server.
    if shared.catalogue.epoch() != epoch {
        return Err(Failed::By(Fault::Moved));
    }
    change::store(shared, &mut work, &changed, begun.now).await?;
    commit_change(&shared.database, work, &begun.xid, "the outcomes of tasks").await?;
    Ok(recorded)
}

/// What is stored of the tasks.
struct Found {
    /// The tasks whose rows are locked now.
    tasks: HashMap<TaskId, Task>,
    /// The tasks whose rows others have locked.
    locked: HashSet<TaskId>,
    /// The leases of such tasks that are held.
    kept: HashSet<LeaseRef>,
    /// The leases that were held, and are over now.
    held: HashMap<LeaseRef, EndedLease>,
    may_be_done: bool,
}

impl Found {
    async fn new(
        shared: &Shared,
        work: &mut Work,
        settlements: &[&Settlement],
        may_be_done: bool,
    ) -> Result<Self, Fault> {
        let mut leases: Vec<_> = settlements.iter().map(|settlement| settlement.lease).collect();
        leases.sort_unstable_by_key(|lease| lease.id);
        let ids: Vec<_> = leases.iter().map(|lease| uuid(lease.id)).collect();
        let tasks = change::lock(shared, work, &ids).await?;
        let missing = leases.iter().filter(|lease| !tasks.contains_key(&lease.id));
        let missing: Vec<_> = missing.map(|lease| uuid(lease.id)).collect();
        let locked = change::stored(&shared.database, work, &missing).await?;
        let (of_locked, leases): (Vec<_>, Vec<_>) =
            leases.into_iter().partition(|lease| locked.contains(&lease.id));
        let kept = change::held(&shared.database, work, &of_locked).await?;
        let held = change::end_leases(&shared.database, work, &leases).await?;
        Ok(Self { tasks, locked, kept, held, may_be_done })
    }

    /// Decides what becomes of each task.
    fn decide(
        mut self,
        shared: &Shared,
        settlements: &[&Settlement],
        now: Timestamp,
    ) -> Result<(Recorded, Vec<Changed>), Failed> {
        let (mut recorded, mut changed, mut lanes) = (Recorded::default(), Vec::new(), Vec::new());
        for settlement in settlements {
            let lease = settlement.lease;
            if self.locked.contains(&lease.id) {
                recorded.locked.extend(self.kept.get(&lease));
                continue;
            }
            let held = self.held.remove(&lease);
            if let Some(counted) = held.as_ref().and_then(|ended| ended.counted.clone()) {
                recorded.ended.add(counted, !verdict(settlement).is_of_an_attempt());
            }
            if !self.tasks.contains_key(&lease.id) {
                if self.is_over(settlement) {
                    recorded.answers.insert(lease, Settled::Done);
                }
                continue;
            }
            let Some(ended) = held else { continue };
            let Some(task) = self.tasks.remove(&lease.id) else { continue };
            match settled(shared, task, settlement, ended.cancelled, now) {
                Ok(one) => {
                    recorded.answers.insert(lease, one.settled());
                    changed.push(one);
                }
                Err(lane) => lanes.push(lane),
            }
        }
        if lanes.is_empty() { Ok((recorded, changed)) } else { Err(Failed::For(lanes)) }
    }

    /// Whether a task that is not stored any more was done under this lease.
    fn is_over(&self, settlement: &Settlement) -> bool {
        settlement.rolled_back.is_some() || self.may_be_done && settlement.verdict == Verdict::Done
    }
}

fn settled(
    shared: &Shared,
    task: Task,
    settlement: &Settlement,
    cancelled: bool,
    now: Timestamp,
) -> Result<Changed, NoLane> {
    let Settlement { started: began, backoff, .. } = settlement;
    let verdict = verdict(settlement);
    let ended = Ended { verdict, began: *began, backoff: *backoff, cancelled };
    Changed::new(&shared.catalogue, task, now, |facts, rules| {
        lifecycle::settle(facts, ended, rules, now)
    })
}

/// Returns the verdict on a task that is still stored.
fn verdict(settlement: &Settlement) -> &Verdict {
    settlement.rolled_back.as_ref().unwrap_or(&settlement.verdict)
}
