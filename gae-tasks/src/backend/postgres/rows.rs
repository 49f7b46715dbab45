//! The rows of new tasks: one statement for many.

use std::borrow::Cow;
use std::time::Instant;

use sqlx::postgres::PgArguments;
use sqlx::query::Query;
use sqlx::{PgConnection, Postgres, Row};
use uuid::Uuid;

use super::database::{Database, at, moment};
use super::error::Fault;
use super::task::{nanos, uuid};
use crate::backend::NewTask;
use crate::backend::lifecycle::Wait;
use crate::task::TaskSpec;
use crate::time::{Now, Schedule, micros};
use crate::version;

/// How many tasks one statement stores, and how many bytes of payloads.
pub(super) const MOST: (usize, usize) = (1_000, 4 * 1024 * 1024);

/// The query parts `m`, the moment, and `given`, the tasks of [`Rows::bind`]. The schedule time of
/// each is that of [`Schedule::resolve`].
macro_rules! given {
    () => {
        concat!(
            "m AS MATERIALIZED (SELECT ",
            moment!(),
            " AS now), given AS (SELECT n.*, m.now, greatest(m.now + least(n.delay, \
             9223372036854775807 - greatest(m.now, 0)), n.time) AS due FROM m, \
             unnest($2::uuid[], $3::bigint[], $4::bigint[], $5::bigint[], $6::boolean[], \
             $7::bigint[], $8::bigint[], $9::text[], $10::bytea[], $11::bytea[], $12::bytea[]) AS \
             n(id, lane, delay, time, timed, max_attempts, deadline, name, retry, attributes, \
             payload))"
        )
    };
}
pub(super) use given;

/// The query parts that store the tasks of `$from`, whose table is `g` and has the columns of
/// `given`. They wait from then on.
macro_rules! stored {
    ($from:literal) => {
        concat!(
            "new AS (INSERT INTO gae_tasks.task (id, lane, created, schedule_time, timed, \
             max_attempts, deadline, name, retry, attributes, payload) SELECT g.id, g.lane, g.now, \
             g.due, g.timed, g.max_attempts, g.deadline, g.name, g.retry, g.attributes, g.payload ",
            $from,
            " ON CONFLICT (id) DO NOTHING RETURNING id, lane, schedule_time, timed, name IS NOT \
             NULL AS named, octet_length(payload) AS size), put AS (INSERT INTO gae_tasks.waiting \
             (lane, due, task, size, standing, timed, named) SELECT lane, schedule_time, id, size, \
             0, coalesce(timed, false), named FROM new)"
        )
    };
}
pub(super) use stored;

/// Stores new tasks.
pub(super) const INSERT: &str = concat!(
    "WITH ",
    given!(),
    ", ",
    stored!("FROM given g"),
    " SELECT pg_current_xact_id()::text, (SELECT queue_changes FROM gae_tasks.version)"
);

/// Stores one task that has a key, and gives it the key: `$14` in the queue `$13`.
pub(super) const INSERT_KEYED: &str = concat!(
    "WITH ",
    given!(),
    ", held AS (INSERT INTO gae_tasks.name (queue, name, task) SELECT $13::text, $14::text, g.id \
      FROM given g ON CONFLICT (queue, name) DO UPDATE SET task = excluded.task, until = NULL), ",
    stored!("FROM given g"),
    " SELECT pg_current_xact_id()::text, (SELECT queue_changes FROM gae_tasks.version)"
);

/// The query part `given`, plain tasks by [`bind_plain`]: they are due at once and have nothing but
/// a payload, as nearly all do.
macro_rules! given_plain {
    () => {
        concat!(
            "m AS MATERIALIZED (SELECT ",
            moment!(),
            " AS now), given AS (SELECT unnest($2::uuid[]) AS id, unnest($3::bigint[]) AS lane, \
             unnest($4::bytea[]) AS payload, m.now FROM m)"
        )
    };
}
pub(super) use given_plain;

/// The same for one plain task by [`bind_one`]: nothing is unpacked and put aside.
macro_rules! given_one {
    () => {
        concat!(
            "m AS MATERIALIZED (SELECT ",
            moment!(),
            " AS now), given AS NOT MATERIALIZED (SELECT $2::uuid AS id, $3::bigint AS lane, \
             $4::bytea AS payload, m.now FROM m)"
        )
    };
}
pub(super) use given_one;

/// The query parts that store the plain tasks of `$from`, whose table is `g`. None of them may be
/// stored already: looking for that would cost a fifth of the time.
macro_rules! stored_plain {
    ($from:literal) => {
        concat!(
            "new AS (INSERT INTO gae_tasks.task (id, lane, created, schedule_time, payload) SELECT \
             g.id, g.lane, g.now, g.now, g.payload ",
            $from,
            "), put AS (INSERT INTO gae_tasks.waiting (lane, due, task, size, standing, timed, \
             named) SELECT g.lane, g.now, g.id, octet_length(g.payload), 0, false, false ",
            $from,
            ")"
        )
    };
}
pub(super) use stored_plain;

const INSERT_PLAIN: &str = concat!(
    "WITH ",
    given_plain!(),
    ", ",
    stored_plain!("FROM given g"),
    " SELECT pg_current_xact_id()::text, (SELECT queue_changes FROM gae_tasks.version)"
);

const INSERT_ONE: &str = concat!(
    "WITH ",
    given_one!(),
    ", ",
    stored_plain!("FROM given g"),
    " SELECT pg_current_xact_id()::text, (SELECT queue_changes FROM gae_tasks.version)"
);

/// What a statement that stored tasks says of its transaction.
#[derive(Debug)]
pub(super) struct Receipt {
    pub(super) xid: String,
    /// The count of changes of queues.
    pub(super) queue_changes: i64,
    /// When the first statement of the transaction began, at which tasks get their places.
    pub(super) begun: Instant,
}

impl Receipt {
    /// Returns the receipt of a transaction in which `earlier` was the last statement before.
    pub(super) fn after(self, earlier: Option<&Self>) -> Self {
        Self { begun: earlier.map_or(self.begun, |earlier| earlier.begun.min(self.begun)), ..self }
    }
}

/// A statement that stores tasks.
pub(super) struct Statement<'q>(Query<'q, Postgres, PgArguments>);

impl<'q> Statement<'q> {
    /// Returns the statement that stores tasks in these lanes. A task that is stored already, or
    /// twice among these, is stored once.
    pub(super) fn of<'a: 'q>(
        database: &Database,
        now: Now,
        tasks: &[(&'a NewTask, i64)],
    ) -> Result<Self, Fault> {
        let rows = Rows::of(tasks.iter().copied())?;
        Ok(Self(rows.bind(database.prepared(INSERT), now)))
    }

    /// Like [`of`](Self::of), a cheaper statement if all tasks are plain. That fails if a task is
    /// stored already.
    pub(super) fn of_new<'a: 'q>(
        database: &Database,
        now: Now,
        tasks: &[(&'a NewTask, i64)],
    ) -> Result<Self, Fault> {
        if !tasks.iter().all(|(task, _)| is_plain(task)) {
            return Self::of(database, now, tasks);
        }
        Ok(Self(match *tasks {
            [one] => bind_one(database.prepared(INSERT_ONE), now, one),
            _ => bind_plain(database.prepared(INSERT_PLAIN), now, tasks.iter().copied()),
        }))
    }

    /// Stores the tasks.
    pub(super) async fn execute(self, connection: &mut PgConnection) -> Result<Receipt, Fault> {
        let begun = Instant::now();
        let row = self.0.fetch_one(connection).await?;
        Ok(Receipt { xid: row.try_get(0)?, queue_changes: row.try_get(1)?, begun })
    }
}

/// Binds the moment and plain tasks with their lanes to the arguments `$1` to `$4`.
pub(super) fn bind_plain<'a, 'q>(
    query: Query<'q, Postgres, PgArguments>,
    now: Now,
    tasks: impl Iterator<Item = (&'a NewTask, i64)> + Clone,
) -> Query<'q, Postgres, PgArguments>
where
    'a: 'q,
{
    let payload = |(task, _): (&'a NewTask, i64)| -> &'a [u8] { &task.payload };
    query
        .bind(at(now))
        .bind(tasks.clone().map(|(task, _)| uuid(task.spec.id)).collect::<Vec<_>>())
        .bind(tasks.clone().map(|(_, lane)| lane).collect::<Vec<_>>())
        .bind(tasks.map(payload).collect::<Vec<_>>())
}

/// Binds the moment and a plain task with its lane to the same arguments.
pub(super) fn bind_one<'a, 'q>(
    query: Query<'q, Postgres, PgArguments>,
    now: Now,
    (task, lane): (&'a NewTask, i64),
) -> Query<'q, Postgres, PgArguments>
where
    'a: 'q,
{
    let payload: &'a [u8] = &task.payload;
    query.bind(at(now)).bind(uuid(task.spec.id)).bind(lane).bind(payload)
}

/// Whether a task is due at once and has nothing but a payload.
pub(super) fn is_plain(task: &NewTask) -> bool {
    let TaskSpec { max_attempts, retry, deadline, attributes, .. } = &task.spec;
    let has_nothing = !task.spec.is_known_by_more()
        && max_attempts.is_none()
        && retry.is_none()
        && deadline.is_none()
        && attributes.is_none();
    has_nothing && matches!(task.schedule, Schedule::Now)
}

/// The columns of new tasks.
#[derive(Debug, Default)]
pub(super) struct Rows<'a> {
    ids: Vec<Uuid>,
    lanes: Vec<i64>,
    delays: Vec<i64>,
    times: Vec<i64>,
    timed: Vec<Option<bool>>,
    max_attempts: Vec<Option<i64>>,
    deadlines: Vec<Option<i64>>,
    names: Vec<Option<Cow<'a, str>>>,
    retries: Vec<Option<Vec<u8>>>,
    attributes: Vec<Option<&'a [u8]>>,
    payloads: Vec<&'a [u8]>,
}

impl<'a> Rows<'a> {
    /// Returns the columns of tasks with their lanes.
    pub(super) fn of(tasks: impl IntoIterator<Item = (&'a NewTask, i64)>) -> Result<Self, Fault> {
        let mut rows = Self::default();
        for (task, lane) in tasks {
            rows.add(task, lane)?;
        }
        Ok(rows)
    }

    /// Returns the columns of a task that waits like this, whatever it says itself.
    pub(super) fn of_place(task: &'a NewTask, lane: i64, wait: Wait) -> Result<Self, Fault> {
        let rows = Self::of([(task, lane)])?;
        let (delays, times) = (vec![0], vec![wait.due().as_micros()]);
        Ok(Self { delays, times, timed: vec![wait.is_timed().then_some(true)], ..rows })
    }

    fn add(&mut self, task: &'a NewTask, lane: i64) -> Result<(), Fault> {
        let spec = &task.spec;
        let encode = |retry| {
            version::encode(retry).ok_or_else(|| Fault::Unreadable("retry settings".to_owned()))
        };
        let (delay, time) = match task.schedule {
            Schedule::Now => (0, i64::MIN),
            Schedule::After(delay) => (micros(delay), i64::MIN),
            Schedule::At(time) => (0, time.as_micros()),
        };
        self.retries.push(spec.retry.as_ref().map(encode).transpose()?);
        self.ids.push(uuid(spec.id));
        self.lanes.push(lane);
        self.delays.push(delay);
        self.times.push(time);
        self.timed.push(task.schedule.is_timed().then_some(true));
        self.max_attempts.push(spec.max_attempts.map(i64::from));
        self.deadlines.push(spec.deadline.map(nanos));
        self.names.push(spec.known_as());
        self.attributes.push(spec.attributes.as_deref());
        self.payloads.push(&task.payload);
        Ok(())
    }

    /// Binds the moment and the columns to the arguments `$1` to `$12`.
    pub(super) fn bind<'q>(
        self,
        query: Query<'q, Postgres, PgArguments>,
        now: Now,
    ) -> Query<'q, Postgres, PgArguments>
    where
        'a: 'q,
    {
        query
            .bind(at(now))
            .bind(self.ids)
            .bind(self.lanes)
            .bind(self.delays)
            .bind(self.times)
            .bind(self.timed)
            .bind(self.max_attempts)
            .bind(self.deadlines)
            .bind(self.names)
            .bind(self.retries)
            .bind(self.attributes)
            .bind(self.payloads)
    }
}

/// Returns how many bytes the payloads of tasks have.
pub(super) fn bytes(tasks: &[NewTask]) -> usize {
    tasks.iter().map(|task| task.payload.len()).sum()
}
