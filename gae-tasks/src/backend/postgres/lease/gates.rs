//! What the queues with limits may give to one lease. Their rows are locked while the lease takes
//! from them, so that no other lease counts the same tokens and places.

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use crate::backend::gate::{Gate, Opens};
use crate::backend::haul::Haul;
use crate::backend::postgres::buckets::{self, Level, State};
use crate::backend::postgres::choice::{Choice, Source};
use crate::backend::postgres::error::Fault;
use crate::backend::postgres::shared::Shared;
use crate::backend::postgres::unreadable;
use crate::backend::postgres::waits::{Denial, Moment};
use crate::backend::postgres::work::{End, Work};
use crate::backend::{Lease, Standing};
use crate::queue::{QueueName, RateLimits};
use crate::time::{Now, Timestamp};

/// How many queues are looked at together, unless there are more free runners.
const AT_ONCE: usize = 100;

/// How soon to look again where a queue could give more than was asked of it.
const SOON: Duration = Duration::from_millis(20);

/// A queue with limits that has tasks due.
type Limited<'a> = (&'a QueueName, RateLimits);

/// The queues with limits from which a lease may take.
#[derive(Debug)]
pub(super) struct Gates {
    moment: Moment,
    /// Whether what is found out is remembered: not by workers with a clock of their own, which
    /// would not notice that time passes.
    remembers: bool,
    /// The queues whose rows are locked.
    locked: HashSet<QueueName>,
    /// When they were read.
    read: Option<Timestamp>,
    /// How long until a queue may give tasks, among those that the haul does not know.
    next: Option<Duration>,
    /// Whether the transaction that has the locks was begun for them.
    is_begun: bool,
    /// Whether missing rows were made.
    has_made: bool,
}

impl Gates {
    /// Creates the gates of a lease that takes from no queue with limits.
    pub(super) fn closed(shared: &Shared, request: &Lease, changes: i64) -> Self {
        let moment = Moment { changes, wakeups: *shared.wakeups.borrow() };
        let (remembers, locked) = (request.now == Now::Storage, HashSet::new());
        let (read, next, is_begun, has_made) = (None, None, false, false);
        Self { moment, remembers, locked, read, next, is_begun, has_made }
    }

    /// Whether there is a transaction that ends with the locks.
    pub(super) const fn are_begun(&self) -> bool {
        self.is_begun
    }

    /// Returns the moment of the leases that are given now: what queues with limits may give was
    /// counted then.
    pub(super) fn now(&self, request: &Lease) -> Now {
        self.read.map_or(request.now, Now::At)
    }

    /// Returns how long until a queue may give tasks, among those that the haul does not know.
    pub(super) const fn next(&self) -> Option<Duration> {
        self.next
    }

    /// Returns how many more tasks of a source the lease with this haul may take.
    pub(super) fn room_of(&self, haul: &Haul, source: &Source) -> usize {
        let queue = &source.lane.key.queue;
        if source.is_forced() {
            return haul.room_of_forced(queue);
        }
        if is_limited(haul, source) && !self.locked.contains(queue) {
            return 0;
        }
        haul.room_of(queue)
    }

    /// Returns how many tasks, at most `most`, to ask of these sources of a queue together. A queue
    /// with limits takes them from the free runners that are left for others.
    pub(super) fn share(
        &self,
        haul: &Haul,
        sources: &[Source],
        most: usize,
        startable: &mut usize,
    ) -> usize {
        let Some(first) = sources.first() else { return 0 };
        if !is_limited(haul, first) {
            return most.min(self.room_of(haul, first));
        }
        let room = sources.iter().map(|source| self.room_of(haul, source)).max();
        let most = most.min(room.unwrap_or_default()).min(*startable);
        *startable -= most;
        most
    }

    fn wait(&mut self, left: Duration) {
        self.next = Some(self.next.map_or(left, |next| next.min(left)));
    }

    /// Whether a queue may be asked now.
    fn asks(&mut self, shared: &Shared, queue: &QueueName) -> bool {
        match shared.waits.denial(queue, self.moment).filter(|_| self.remembers) {
            None => return true,
            Some(Denial::Empty(left)) => self.wait(left),
            Some(Denial::Full | Denial::Locked) => {}
        }
        false
    }

    fn note(&mut self, shared: &Shared, queue: &QueueName, denial: Denial) {
        let pause =
            if self.remembers { shared.waits.note(queue, denial, self.moment) } else { SOON };
        // The haul knows the other reasons.
        if denial == Denial::Locked {
            self.wait(pause);
        }
    }

    /// Stores the buckets of which tokens were taken, and gives up the locks. `has_asked` says
    /// whether the lease has asked any queue for tasks meanwhile.
    pub(super) async fn close(
        &mut self,
        shared: &Shared,
        work: &mut Work,
        haul: &Haul,
        has_asked: bool,
    ) -> Result<(), Fault> {
        let locked = haul.gates().filter(|(queue, _)| self.locked.contains(*queue));
        let locked: Vec<(&QueueName, &Gate)> = locked.collect();
        let changed =
            locked.iter().filter_map(|(queue, gate)| Some((*queue, gate.changed_bucket()?)));
        let changed: Vec<_> = changed.collect();
        if !changed.is_empty() {
            buckets::store(&shared.database, work, &changed).await?;
        }
        if self.is_begun {
            let is_worth = has_asked || self.has_made || !changed.is_empty();
            work.close(if is_worth { End::Commit } else { End::Rollback }).await?;
            self.is_begun = false;
        }
        for (queue, gate) in locked {
            match denial(gate) {
                Some(denial) => self.note(shared, queue, denial),
                None => shared.waits.forget(queue),
            }
        }
        Ok(())
    }
}

/// Whether a source gives only what the limits of its queue allow.
fn is_limited(haul: &Haul, source: &Source) -> bool {
    source.limits.is_some() && haul.obeys_limits()
}

/// Whether a source would give another task if another runner was free.
pub(super) fn holds_back(haul: &Haul, source: &Source) -> bool {
    let queue = &source.lane.key.queue;
    if source.is_forced() { haul.holds_back_forced(queue) } else { haul.holds_back(queue) }
}

/// Returns why a gate gives nothing, if it does not.
fn denial(gate: &Gate) -> Option<Denial> {
    match gate.opens() {
        Opens::Now => None,
        Opens::After(left) => Some(Denial::Empty(left)),
        Opens::WhenOneEnds => Some(Denial::Full),
    }
}

/// Opens the gates of the queues with limits that have tasks due.
pub(super) struct Opening<'a> {
    pub(super) shared: &'a Shared,
    pub(super) work: &'a mut Work,
    pub(super) request: &'a Lease,
    pub(super) haul: &'a mut Haul,
    pub(super) gates: &'a mut Gates,
}

impl Opening<'_> {
    /// Finds queues that may give tasks, as many as there are free runners, and locks their rows.
    pub(super) async fn open(mut self, choice: &Choice) -> Result<(), Fault> {
        self.look_at_forced(choice).await?;
        let limited = self.limited(choice);
        let most = self.haul.startable().min(self.haul.room(Standing::Clear));
        let mut rest = limited.chunks(most.max(AT_ONCE));
        while let Some(some) = rest.next() {
            let giving = self.giving(some, most).await?;
            let (asked, left) = giving.split_at(most.min(giving.len()));
            if !asked.is_empty() {
                self.lock(asked).await?;
            }
            // They wait for a runner, as the answer says, or for the next lease.
            let is_enough = !left.is_empty() || !self.gates.locked.is_empty();
            if is_enough && most > 0 && left.len() + rest.len() > 0 {
                self.gates.wait(SOON);
            }
            if is_enough {
                break;
            }
        }
        Ok(())
    }

    /// Looks at the queues with limits that have tasks which were made due by hand. They run beyond
    /// the limits, so no row is locked, and need a free runner all the same.
    async fn look_at_forced(&mut self, choice: &Choice) -> Result<(), Fault> {
        let forced = choice.limited().filter(|(source, _)| source.is_forced());
        let forced: BTreeMap<_, _> = forced
            .filter_map(|(source, _)| Some((&source.lane.key.queue, source.limits?)))
            .collect();
        if forced.is_empty() {
            return Ok(());
        }
        let forced: Vec<Limited<'_>> = forced.into_iter().collect();
        for ((queue, limits), state) in forced.iter().zip(self.read(&forced).await?) {
            let gate = Gate::new(*limits, state.bucket, state.live, state.now);
            self.haul.limit((*queue).clone(), gate);
        }
        Ok(())
    }

    /// Returns the queues with limits that have tasks due and may be asked: first those that have
    /// watched tasks, then by turns.
    fn limited<'c>(&mut self, choice: &'c Choice) -> Vec<Limited<'c>> {
        let last = self.request.last_turn.as_ref();
        let last = last.and_then(|last| self.shared.catalogue.turn_of(last));
        let (mut places, mut seen) = (BTreeMap::new(), HashSet::new());
        for (source, is_watched) in choice.limited() {
            let (queue, turn) = (&source.lane.key.queue, source.lane.turn);
            let is_bound = self.request.bounds.get(queue) == Some(&0);
            if let Some(limits) = source.limits
                && !source.is_forced()
                && !is_bound
                && seen.insert(queue)
                && self.gates.asks(self.shared, queue)
            {
                let is_past = last.is_some_and(|last| turn <= last);
                places.insert((!is_watched, is_past, turn, queue), limits);
            }
        }
        places.into_iter().map(|((.., queue), limits)| (queue, limits)).collect()
    }

    /// Returns those of these queues that may give tasks, as far as can be known before their rows
    /// are locked.
    async fn giving<'c>(
        &mut self,
        some: &[Limited<'c>],
        most: usize,
    ) -> Result<Vec<Limited<'c>>, Fault> {
        let waits = &self.shared.waits;
        if some.len() <= most && !some.iter().any(|(queue, _)| waits.has(queue)) {
            return Ok(some.to_vec());
        }
        let mut giving = Vec::new();
        for ((queue, limits), state) in some.iter().zip(self.read(some).await?) {
            // Rows that are missing are made when the others are locked.
            let Some(bucket) = state.bucket else {
                giving.push((*queue, *limits));
                continue;
            };
            let gate = Gate::new(*limits, Some(bucket), state.live, state.now);
            self.haul.limit((*queue).clone(), gate);
            match denial(&gate) {
                Some(denial) if gate.changed_bucket().is_none() => {
                    self.gates.note(self.shared, queue, denial);
                }
                _ => giving.push((*queue, *limits)),
            }
        }
        Ok(giving)
    }

    /// Locks the rows of these queues, but for those that somebody else has locked.
    async fn lock(&mut self, giving: &[Limited<'_>]) -> Result<(), Fault> {
        if self.work.open().await? {
            self.gates.is_begun = true;
        }
        let queues: Vec<_> = giving.iter().map(|(queue, _)| *queue).collect();
        let locked = buckets::lock(&self.shared.database, self.work, &queues).await?;
        let mut lost = Vec::new();
        // A statement of its own, which sees all leases that others have given under their locks.
        for ((queue, limits), state) in giving.iter().zip(self.read(giving).await?) {
            match state.bucket {
                None => lost.push(*queue),
                Some(_) if !locked.contains(queue.as_str()) => {
                    self.gates.note(self.shared, queue, Denial::Locked);
                }
                bucket => {
                    self.gates.read = Some(state.now);
                    let gate = Gate::new(*limits, bucket, state.live, state.now);
                    self.haul.limit((*queue).clone(), gate);
                    self.gates.locked.insert((*queue).clone());
                }
            }
        }
        if lost.is_empty() { Ok(()) } else { self.make(&lost).await }
    }

    /// Makes rows that are missing; the next lease asks these queues.
    async fn make(&mut self, lost: &[&QueueName]) -> Result<(), Fault> {
        let database = &self.shared.database;
        buckets::make(database, self.work, self.request.now, lost, Level::Empty).await?;
        lost.iter().for_each(|queue| unreadable::bucket(database, queue));
        self.gates.has_made = true;
        self.gates.wait(SOON);
        Ok(())
    }

    async fn read(&mut self, some: &[Limited<'_>]) -> Result<Vec<State>, Fault> {
        let most = |limits: &RateLimits| limits.concurrent().unwrap_or_default();
        let asked: Vec<_> = some.iter().map(|(queue, limits)| (*queue, most(limits))).collect();
        buckets::read(&self.shared.database, self.work, self.request.now, &asked).await
    }
}
