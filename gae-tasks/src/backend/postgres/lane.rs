//! Lanes: a queue together with a route, a version, a priority, the readers that refused, and
//! whether made due by hand, as one number.

use sqlx::Row;
use sqlx::postgres::PgRow;

use crate::backend::refusers::Refusers;
use crate::queue::QueueName;
use crate::task::{Kind, Route, Shape, TaskSpec};
use crate::version;

/// The columns of [`Lane::read`], of the table `l`.
macro_rules! lane_columns {
    () => {
        "l.id, l.queue, l.kind, l.shape, l.version, l.turn, l.refusers, l.priority, l.forced"
    };
}
pub(super) use lane_columns;

/// How many columns [`lane_columns`] has.
pub(super) const LANE_COLUMNS: usize = 9;

/// What a worker can or cannot lease, as one number.
#[derive(Debug)]
pub(super) struct Lane {
    pub(super) id: i64,
    pub(super) key: LaneKey,
    /// The queue's place in the order of turns.
    pub(super) turn: i64,
}

/// What the tasks of a lane have in common.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct LaneKey {
    pub(super) queue: QueueName,
    pub(super) route: Route,
    /// The version that a program must know to run the tasks.
    pub(super) version: u8,
    /// The priority of the tasks, which are in the order of their times.
    pub(super) priority: i8,
    /// The readers that refused the tasks.
    pub(super) refusers: Refusers,
    /// Whether the tasks were made due by hand.
    pub(super) forced: bool,
}

impl LaneKey {
    /// Returns the lane of new tasks like this one.
    pub(super) fn of(spec: &TaskSpec) -> Self {
        Self {
            queue: spec.queue.clone(),
            route: spec.route(),
            version: spec.version(),
            priority: spec.priority,
            refusers: Refusers::NONE,
            forced: false,
        }
    }

    /// Whether the tasks are those that these readers refused, and that were `forced` to be due.
    pub(super) fn is_for(&self, refusers: Refusers, forced: bool) -> bool {
        self.refusers == refusers && self.forced == forced
    }

    /// Whether a newer version of this crate stored the tasks.
    pub(super) const fn is_newer(&self) -> bool {
        self.version > version::KNOWN
    }
}

impl Lane {
    /// Reads a lane from the [`lane_columns`], which begin at `first`; `None` if they cannot be
    /// read.
    pub(super) fn read(row: &PgRow, first: usize) -> Option<Self> {
        let queue = QueueName::new(row.try_get::<String, _>(first + 1).ok()?).ok()?;
        let kind = Kind::new(row.try_get::<String, _>(first + 2).ok()?).ok()?;
        let shape = Shape::from_bits(row.try_get::<i64, _>(first + 3).ok()?.cast_unsigned());
        let version = u8::try_from(row.try_get::<i16, _>(first + 4).ok()?).ok()?;
        let refusers = Refusers::from_bytes(row.try_get::<&[u8], _>(first + 6).ok()?)?;
        let priority = i8::try_from(row.try_get::<i16, _>(first + 7).ok()?).ok()?;
        let forced = row.try_get(first + 8).ok()?;
        let route = Route::new(kind, shape);
        let key = LaneKey { queue, route, version, priority, refusers, forced };
        let (id, turn) = (row.try_get(first).ok()?, row.try_get(first + 5).ok()?);
        Some(Self { id, key, turn })
    }
}
