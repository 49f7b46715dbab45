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
use crate::queue::{Bucket, QueueName, RateLimits};
use crate::time::{Now, Timestamp};

/// How many queues are looked at together, unless there are more free runners.
const AT_ONCE: usize = 100;

/// How soon to look again where a queue could give more than was asked of it.
const SOON: Duration = Duration::from_millis(20);

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
        match source.is_forced() {
            _ if is_unknown(haul, source) => 0,
            true => haul.room_of_forced(queue),
            false if is_limited(haul, source) && !self.locked.contains(queue) => 0,
            false => haul.room_of(queue),
        }
    }

    /// Returns what these sources of a queue may give together.
    pub(super) fn share(&self, haul: &Haul, sources: &[Source]) -> Share {
        let Some(first) = sources.first().filter(|first| !is_unknown(haul, first)) else {
            return Share::default();
        };
        let queue = &first.lane.key.queue;
        let is_known = !is_limited(haul, first)
            || self.locked.contains(queue)
            || sources.iter().all(Source::is_forced);
        let room = if is_known { haul.room_of(queue) } else { 0 };
        let has_forced = || sources.iter().any(Source::is_forced);
        if room == 0 && has_forced() {
            return Share { most: haul.room_of_forced(queue), of_forced: true };
        }
        Share { most: room, of_forced: false }
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

/// How many tasks a queue may give.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Share {
    pub(super) most: usize,
    /// Whether the limits of the queue allow none but those that were made due by hand.
    pub(super) of_forced: bool,
}

/// Whether the limits of its queue apply to a source.
pub(super) fn is_limited(haul: &Haul, source: &Source) -> bool {
    source.limits.is_some() && haul.obeys_limits()
}

/// Whether a source is of a queue with limits that this lease has not looked at. It gives nothing,
/// not even tasks that were made due by hand: they would not be known to need a free runner.
fn is_unknown(haul: &Haul, source: &Source) -> bool {
    is_limited(haul, source) && haul.gate(&source.lane.key.queue).is_none()
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

/// A queue with limits that has tasks due.
#[derive(Debug, Clone, Copy)]
struct Limited<'c> {
    queue: &'c QueueName,
    limits: RateLimits,
    turn: i64,
    /// Whether there are tasks to which the limits apply, and watched ones among them.
    has_plain: bool,
    has_watched: bool,
    /// Whether there are tasks that were made due by hand: they run beyond the limits, but need a
    /// free runner all the same.
    has_forced: bool,
}

/// What was found out of queues before their rows are locked.
#[derive(Debug, Default)]
struct Found<'c> {
    /// The queues that may give tasks.
    giving: Vec<Limited<'c>>,
    /// The queues whose rows are missing, or count from a time that is still to come.
    mending: Vec<Limited<'c>>,
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
        let limited = self.limited(choice);
        let most = self.haul.startable().min(self.haul.room(Standing::Clear));
        let mut rest = limited.chunks(most.max(AT_ONCE));
        while let Some(some) = rest.next() {
            let Found { mut giving, mending } = self.find(some, most).await?;
            let left = giving.split_off(most.min(giving.len()));
            let asked = [&mending[..], &giving[..]].concat();
            if !asked.is_empty() {
                self.lock(&asked).await?;
            }
            let has_locked = giving.iter().any(|of| self.gates.locked.contains(of.queue));
            if !left.is_empty() || has_locked {
                // The others wait for a runner, as the answer says, or for the next lease.
                if most > 0 && left.len() + rest.len() > 0 {
                    self.gates.wait(SOON);
                }
                break;
            }
        }
        Ok(())
    }

    /// Returns the queues with limits that have tasks due and may be asked: first those that have
    /// watched tasks, then by turns.
    fn limited<'c>(&mut self, choice: &'c Choice) -> Vec<Limited<'c>> {
        let mut queues = BTreeMap::new();
        for (source, is_watched) in choice.limited() {
            let (queue, turn) = (&source.lane.key.queue, source.lane.turn);
            let Some(limits) = source.limits else { continue };
            let (has_plain, has_watched, has_forced) = (false, false, false);
            let new = Limited { queue, limits, turn, has_plain, has_watched, has_forced };
            let of = queues.entry(queue).or_insert(new);
            of.has_forced |= source.is_forced();
            of.has_plain |= !source.is_forced();
            of.has_watched |= is_watched && !source.is_forced();
        }
        let asks = |of: &Limited<'_>| of.has_forced || self.gates.asks(self.shared, of.queue);
        let mut limited: Vec<_> = queues.into_values().filter(asks).collect();
        let last = self.request.last_turn.as_ref();
        let last = last.and_then(|last| self.shared.catalogue.turn_of(last));
        let is_past = |turn| last.is_some_and(|last| turn <= last);
        limited.sort_by_key(|of| (!of.has_watched, is_past(of.turn), of.turn));
        limited
    }

    /// Finds out which of these queues may give tasks, as far as that can be known before their
    /// rows are locked.
    async fn find<'c>(&mut self, some: &[Limited<'c>], most: usize) -> Result<Found<'c>, Fault> {
        if some.len() <= most && some.iter().all(|of| self.is_likely(of)) {
            return Ok(Found { giving: some.to_vec(), mending: Vec::new() });
        }
        let mut found = Found::default();
        for (of, state) in some.iter().zip(self.read(some).await?) {
            let bucket = state.bucket.unwrap_or(Bucket::stored(0, state.now));
            let gate = Gate::new(of.limits, Some(bucket), state.live, state.now);
            self.haul.limit(of.queue.clone(), gate);
            match denial(&gate) {
                _ if state.bucket.is_none() || gate.changed_bucket().is_some() => {
                    found.mending.push(*of);
                }
                None if self.may_give(of) => found.giving.push(*of),
                None => {}
                Some(denial) => self.gates.note(self.shared, of.queue, denial),
            }
        }
        Ok(found)
    }

    /// Whether a queue may give tasks, as far as this process knows.
    fn is_likely(&self, of: &Limited<'_>) -> bool {
        self.may_give(of) && !self.shared.waits.has(of.queue)
    }

    /// Whether this lease may take from a queue, if its gate is open.
    fn may_give(&self, of: &Limited<'_>) -> bool {
        of.has_plain && self.request.bounds.get(of.queue) != Some(&0)
    }

    /// Locks the rows of these queues, but for those that somebody else has locked.
    async fn lock(&mut self, asked: &[Limited<'_>]) -> Result<(), Fault> {
        if self.work.open().await? {
            self.gates.is_begun = true;
        }
        let queues: Vec<_> = asked.iter().map(|of| of.queue).collect();
        let locked = buckets::lock(&self.shared.database, self.work, &queues).await?;
        let mut lost = Vec::new();
        // A statement of its own, which sees all leases that others have given under their locks.
        for (of, state) in asked.iter().zip(self.read(asked).await?) {
            let Some(bucket) = state.bucket else {
                lost.push(of.queue);
                continue;
            };
            let gate = Gate::new(of.limits, Some(bucket), state.live, state.now);
            self.haul.limit(of.queue.clone(), gate);
            if locked.contains(of.queue.as_str()) {
                self.gates.read = Some(state.now);
                self.gates.locked.insert(of.queue.clone());
            } else {
                self.gates.note(self.shared, of.queue, Denial::Locked);
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
        let places = |of: &Limited<'_>| of.limits.concurrent().unwrap_or_default();
        let asked: Vec<_> = some.iter().map(|of| (of.queue, places(of))).collect();
        buckets::read(&self.shared.database, self.work, self.request.now, &asked).await
    }
}
