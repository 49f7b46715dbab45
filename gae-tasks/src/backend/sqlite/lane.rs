//! Lanes, and the lanes that a worker can run.

use std::collections::{BTreeSet, HashMap};
use std::ops::Deref;
use std::sync::{Arc, Weak};
use std::time::Duration;

use crate::backend::refusers::Refusers;
use crate::backend::{ReaderId, Routes};
use crate::queue::{QueueName, RateLimits, advance};
use crate::task::{Route, Shape};
use crate::version;

/// A queue together with a route, a version, a priority, the readers that refused and whether made
/// due by hand, interned as one number, so that tasks that a worker cannot run cost its leases
/// nothing, and the tasks of a lane are in the order of their times.
#[derive(Debug)]
pub(super) struct Lane {
    pub(super) id: i64,
    pub(super) queue: QueueName,
    pub(super) route: Route,
    /// The version that a program must know to run the lane's tasks.
    pub(super) version: u8,
    /// The priority of the lane's tasks.
    pub(super) priority: i8,
    /// The queue's place in the order of turns.
    pub(super) turn: i64,
    /// The readers that refused the lane's tasks.
    pub(super) refusers: Refusers,
    /// Whether the lane's tasks were made due by hand.
    pub(super) forced: bool,
}

/// What tells the lanes of one kind in a queue apart.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sort {
    pub(super) shape: Shape,
    pub(super) version: u8,
    pub(super) priority: i8,
    pub(super) refusers: Refusers,
    pub(super) forced: bool,
}

impl Lane {
    /// Returns what tells the lane from others of its kind.
    pub(super) fn sort(&self) -> Sort {
        let Self { version, priority, refusers, forced, .. } = *self;
        Sort { shape: self.route.shape(), version, priority, refusers, forced }
    }

    /// Whether the lane is of this sort.
    pub(super) fn is_of_sort(&self, sort: &Sort) -> bool {
        self.route.shape() == sort.shape
            && self.version == sort.version
            && self.priority == sort.priority
            && self.refusers == sort.refusers
            && self.forced == sort.forced
    }

    /// Whether a newer version of this crate stored the lane's tasks.
    pub(super) const fn is_newer(&self) -> bool {
        self.version > version::KNOWN
    }
}

/// The lanes that a worker can run, in the order of their queues' turns.
#[derive(Debug)]
pub(super) struct Runnable {
    /// Weak, so that a worker that has ended is forgotten.
    queues: Weak<BTreeSet<QueueName>>,
    routes: Routes,
    lanes: Vec<RunnableLane>,
    places: HashMap<i64, usize>,
    has_open: bool,
    has_limits: bool,
}

/// A lane that a worker can run.
#[derive(Debug)]
pub(super) struct RunnableLane {
    lane: Arc<Lane>,
    /// Whether the worker may have the lane's tasks at once, whatever they wait for: other readers
    /// refused them, or they were made due by hand.
    pub(super) is_open: bool,
    /// How much the priority [advances](advance) the lane's tasks among those of the queue.
    pub(super) advance: i64,
    /// The limits of the queue, if it has any.
    pub(super) limits: Option<RateLimits>,
}

impl Runnable {
    /// Creates the list of a worker from its lanes in any order.
    pub(super) fn new(
        queues: &Arc<BTreeSet<QueueName>>,
        routes: &Routes,
        mut lanes: Vec<RunnableLane>,
    ) -> Self {
        lanes.sort_unstable_by_key(|lane| (lane.turn, lane.id));
        let places = lanes.iter().enumerate().map(|(place, lane)| (lane.id, place)).collect();
        let has_open = lanes.iter().any(|lane| lane.is_open);
        let has_limits = lanes.iter().any(|lane| lane.limits.is_some());
        let (queues, routes) = (Arc::downgrade(queues), routes.clone());
        Self { queues, routes, lanes, places, has_open, has_limits }
    }

    /// Whether this is the list of the worker with these queues and routes.
    pub(super) fn is_for(&self, queues: &Arc<BTreeSet<QueueName>>, routes: &Routes) -> bool {
        is_of(&self.queues, queues) && is_same(&self.routes, routes)
    }

    pub(super) fn lanes(&self) -> &[RunnableLane] {
        &self.lanes
    }

    /// Whether one of the lanes is [open](RunnableLane::is_open).
    pub(super) const fn has_open(&self) -> bool {
        self.has_open
    }

    /// Whether one of the lanes' queues has limits.
    pub(super) const fn has_limits(&self) -> bool {
        self.has_limits
    }

    /// Returns the place of a lane in the list.
    pub(super) fn place(&self, lane: i64) -> Option<usize> {
        self.places.get(&lane).copied()
    }
}

impl RunnableLane {
    /// Creates the lane of a worker with this reader, in a queue with this step of priority, and
    /// perhaps with limits.
    pub(super) fn new(
        lane: &Arc<Lane>,
        reader: ReaderId,
        step: Duration,
        limits: Option<RateLimits>,
    ) -> Self {
        let is_open = lane.refusers.let_at_once(reader, lane.forced);
        let advance = advance(lane.priority, step);
        Self { lane: Arc::clone(lane), is_open, advance, limits }
    }
}

impl Deref for RunnableLane {
    type Target = Lane;

    fn deref(&self) -> &Lane {
        &self.lane
    }
}

/// The queues and routes of the workers that have leased, independent of the lanes.
#[derive(Debug, Default)]
pub(super) struct Served(Vec<(Weak<BTreeSet<QueueName>>, Routes)>);

impl Served {
    /// Remembers a worker, and forgets those that have ended. A worker that reads routes anew has
    /// other routes than before.
    pub(super) fn note(&mut self, queues: &Arc<BTreeSet<QueueName>>, routes: &Routes) {
        let replaces = |of: &Routes| {
            is_same(of, routes) || matches!((of, routes), (Routes::Read(_), Routes::Read(_)))
        };
        self.0.retain(|(known, of)| {
            known.strong_count() > 0 && !(is_of(known, queues) && replaces(of))
        });
        self.0.push((Arc::downgrade(queues), routes.clone()));
    }

    pub(super) fn all(&self) -> Vec<(Arc<BTreeSet<QueueName>>, Routes)> {
        self.0
            .iter()
            .filter_map(|(queues, routes)| Some((queues.upgrade()?, routes.clone())))
            .collect()
    }
}

/// Whether `queues` are the queues of a remembered worker. The address of a weak reference is not
/// reused, even after its worker has ended.
pub(super) fn is_of(known: &Weak<BTreeSet<QueueName>>, queues: &Arc<BTreeSet<QueueName>>) -> bool {
    std::ptr::eq(known.as_ptr(), Arc::as_ptr(queues))
}

/// Whether both are the same value in memory: comparing hundreds of routes at each lease costs more
/// than it saves.
fn is_same(one: &Routes, other: &Routes) -> bool {
    match (one, other) {
        (Routes::Any, Routes::Any) => true,
        (Routes::Only(one), Routes::Only(other)) => Arc::ptr_eq(one, other),
        (Routes::Read(one), Routes::Read(other)) => {
            std::ptr::addr_eq(Arc::as_ptr(one), Arc::as_ptr(other))
        }
        _ => false,
    }
}
