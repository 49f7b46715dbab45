//! What a worker may take of what waits.

use std::collections::BTreeMap;
use std::sync::Arc;

use uuid::Uuid;

use super::catalogue::Catalogue;
use super::lane::Lane;
use super::scan::{Head, Scan};
use crate::backend::readers::Question;
use crate::backend::{Lease, Standing};
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
    /// No due task is before this one.
    pub(super) first: (Timestamp, Uuid),
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
            if let Some((lane, is_open)) = &readable {
                choice.add(&mut queues, head, lane, *is_open, beside, scan.now.plus(request.ahead));
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
        lane: &Arc<Lane>,
        is_open: bool,
        beside: Option<(i64, i16)>,
        until: Timestamp,
    ) {
        let standing = head.standing();
        if head.is_timed && !is_open && head.due > until {
            // Beside tasks that are not timed, which are due, later ones are not counted.
            if beside != Some((head.lane, head.rank)) {
                self.next = Some(self.next.map_or(head.due, |next| next.min(head.due)));
            }
            return;
        }
        let (rank, is_timed, first) = (head.rank, head.is_timed, (head.due, head.task));
        let source = Source { lane: Arc::clone(lane), rank, is_timed, is_open, first };
        if standing == Standing::Clear {
            queues.entry(lane.turn).or_default().push(source);
        } else {
            self.watched.push((standing, source));
        }
    }

    /// Returns the sources of a standing other than clear.
    pub(super) fn watched(&self, standing: Standing) -> impl Iterator<Item = &Source> {
        self.watched.iter().filter(move |(of, _)| *of == standing).map(|(_, source)| source)
    }

    /// Returns when the first task becomes due, among the lanes and standings without due tasks.
    pub(super) const fn next(&self) -> Option<Timestamp> {
        self.next
    }
}

/// A lane that a worker can read, and whether it is open to the worker.
type Readable = (Arc<Lane>, bool);

/// Returns a lane that the worker can read, and whether it is open to the worker.
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
            Some((lane, is_open))
        }
        Err(question) => {
            questions.push(question);
            None
        }
    }
}

/// Whether a lease may take from a lane, if the worker can read it.
pub(super) fn is_meant(catalogue: &Catalogue, request: &Lease, lane: &Lane) -> bool {
    let key = &lane.key;
    !key.is_newer() && request.queues.contains(&key.queue) && !catalogue.waits(key)
}
