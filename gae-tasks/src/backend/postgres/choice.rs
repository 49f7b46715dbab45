//! What a worker may take of what waits.

use std::collections::BTreeMap;
use std::sync::Arc;

use uuid::Uuid;

use super::catalogue::Catalogue;
use super::lane::Lane;
use super::scan::{Head, Scan};
use crate::backend::readers::Question;
use crate::backend::{Lease, Standing};
use crate::queue::{self, RateLimits};
use crate::time::Timestamp;

/// Waiting tasks of one lane and standing, timed or not timed, that are due.
#[derive(Debug, Clone)]
pub(super) struct Source {
    pub(super) lane: Arc<Lane>,
    pub(super) rank: i16,
    pub(super) is_timed: bool,
    /// Whether the worker may have the tasks whatever they wait for: other readers refused them, or
    /// they were made due by hand.
    pub(super) is_open: bool,
    /// How much their priority [advances](queue::advance) the tasks among those of the queue.
    pub(super) advance: i64,
    /// The limits of the queue, if it has any.
    pub(super) limits: Option<RateLimits>,
    /// No due task is before this one.
    pub(super) first: (Timestamp, Uuid),
}

impl Source {
    /// Returns the place where the tasks begin.
    pub(super) fn head(&self) -> Head {
        let (lane, (due, task)) = (self.lane.id, self.first);
        Head { lane, rank: self.rank, is_timed: self.is_timed, due, task }
    }

    /// Whether the tasks were made due by hand, so that they run beyond the limits of their queue.
    pub(super) fn is_forced(&self) -> bool {
        self.lane.key.forced
    }
}

/// What a worker may take.
#[derive(Debug, Default)]
pub(super) struct Choice {
    /// The count of changes of queues that this is the choice for.
    pub(super) changes: i64,
    /// The due tasks of standings other than clear.
    pub(super) watched: Vec<(Standing, Source)>,
    /// The due clear tasks of each queue, in the order of turns.
    pub(super) queues: Vec<Vec<Source>>,
    next: Option<Timestamp>,
    /// Whether a queue with limits is among those that have tasks due.
    has_limits: bool,
}

impl Choice {
    /// Returns the choice of a worker, and what it must be asked first.
    pub(super) fn new(
        catalogue: &Catalogue,
        request: &Lease,
        scan: &Scan,
    ) -> (Self, Vec<Question>) {
        let mut choice = Self { changes: scan.changes, ..Self::default() };
        let (mut queues, mut questions) = (BTreeMap::new(), Vec::new());
        // Of the lane before: neighbours often have one lane.
        let mut known: Option<(i64, Option<Readable>)> = None;
        let mut beside: Option<(i64, i16)> = None;
        for head in &scan.heads {
            let readable = match known.take().filter(|(lane, _)| *lane == head.lane) {
                Some((_, readable)) => readable,
                None => readable(catalogue, request, head.lane, &mut questions),
            };
            if let Some(readable) = &readable {
                choice.add(&mut queues, head, readable, beside, scan.now.plus(request.ahead));
            }
            beside = (!head.is_timed).then_some((head.lane, head.rank));
            known = Some((head.lane, readable));
        }
        choice.queues = queues.into_values().collect();
        (choice, questions)
    }

    /// Whether nothing is due that the worker may take.
    pub(super) const fn is_empty(&self) -> bool {
        self.watched.is_empty() && self.queues.is_empty()
    }

    fn add(
        &mut self,
        queues: &mut BTreeMap<i64, Vec<Source>>,
        head: &Head,
        readable: &Readable,
        beside: Option<(i64, i16)>,
        until: Timestamp,
    ) {
        let standing = head.standing();
        let Readable { lane, is_open, advance, limits } = readable;
        let (is_open, advance, limits) = (*is_open, *advance, *limits);
        if head.is_timed && !is_open && head.due > until {
            // Beside tasks that are not timed, which are due, later ones are not counted.
            if beside != Some((head.lane, head.rank)) {
                self.next = Some(self.next.map_or(head.due, |next| next.min(head.due)));
            }
            return;
        }
        let (rank, is_timed, first) = (head.rank, head.is_timed, (head.due, head.task));
        let lane = Arc::clone(lane);
        let turn = lane.turn;
        let source = Source { lane, rank, is_timed, is_open, advance, limits, first };
        self.has_limits |= limits.is_some();
        if standing == Standing::Clear {
            queues.entry(turn).or_default().push(source);
        } else {
            self.watched.push((standing, source));
        }
    }

    /// Returns the sources of a standing other than clear.
    pub(super) fn watched(&self, standing: Standing) -> impl Iterator<Item = &Source> {
        self.watched.iter().filter(move |(of, _)| *of == standing).map(|(_, source)| source)
    }

    /// Whether a queue with limits has tasks due.
    pub(super) const fn has_limits(&self) -> bool {
        self.has_limits
    }

    /// Returns the sources of queues with limits, and whether their tasks are of a standing other
    /// than clear.
    pub(super) fn limited(&self) -> impl Iterator<Item = (&Source, bool)> {
        let watched = self.watched.iter().map(|(_, source)| (source, true));
        let clear = self.queues.iter().flatten().map(|source| (source, false));
        // Nobody looks through thousands of queues for one.
        let all = self.has_limits.then(|| watched.chain(clear));
        all.into_iter().flatten().filter(|(source, _)| source.limits.is_some())
    }

    /// Returns when the first task becomes due, among the lanes and standings without due tasks.
    pub(super) const fn next(&self) -> Option<Timestamp> {
        self.next
    }
}

/// A lane that a worker can read.
struct Readable {
    lane: Arc<Lane>,
    /// Whether it is open to the worker.
    is_open: bool,
    /// How much its priority advances its tasks.
    advance: i64,
    /// The limits of its queue, if it has any.
    limits: Option<RateLimits>,
}

/// Returns a lane, if the worker can read it.
fn readable(
    catalogue: &Catalogue,
    request: &Lease,
    lane: i64,
    questions: &mut Vec<Question>,
) -> Option<Readable> {
    let lane = catalogue.lane(lane)?;
    if !is_meant(catalogue, request, &lane) {
        return None;
    }
    match catalogue.reader(&request.routes, &lane.key.route) {
        Ok(reader) => {
            let is_open = lane.key.refusers.let_at_once(reader?, lane.key.forced);
            let advance = advance(catalogue, &lane);
            let limits = catalogue.limits(&lane.key.queue);
            Some(Readable { lane, is_open, advance, limits })
        }
        Err(question) => {
            questions.push(question);
            None
        }
    }
}

/// Returns how much their priority advances the tasks of a lane, by the step of its queue.
fn advance(catalogue: &Catalogue, lane: &Lane) -> i64 {
    match lane.key.priority {
        0 => 0,
        priority => {
            let config = catalogue.config(&lane.key.queue).unwrap_or_default();
            queue::advance(priority, config.priority_step())
        }
    }
}

/// Whether a lease may take from a lane, if the worker can read it.
pub(super) fn is_meant(catalogue: &Catalogue, request: &Lease, lane: &Lane) -> bool {
    let key = &lane.key;
    !key.is_newer() && request.queues.contains(&key.queue) && !catalogue.waits(key)
}
