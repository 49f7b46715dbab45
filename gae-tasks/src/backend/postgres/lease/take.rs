//! Takes due tasks of several lanes by one statement: it locks those that nobody else takes, puts
//! them in order, moves them from `waiting` to `lease`, and returns them with their payloads.

use sqlx::postgres::PgRow;
use sqlx::{PgConnection, Row};
use uuid::Uuid;

use crate::backend::postgres::choice::Source;
use crate::backend::postgres::database::{Database, at, moment};
use crate::backend::postgres::error::Fault;
use crate::backend::postgres::task::{TASK_COLUMNS, Task, id, task_columns};
use crate::backend::postgres::unreadable;
use crate::backend::{Lease, LeaseRef, LeaseToken, LeasedTask};
use crate::task::TaskSpec;
use crate::time::{self, Now, Timestamp};
use crate::version;

/// `found` locks the first due tasks of each source; the tasks of `placed` stand in the order of
/// turns, and within a turn in that of the queue. What is not in the answer is unlocked when the
/// statement ends.
macro_rules! take {
    ($placed:literal) => {
        concat!(
            "WITH moment AS MATERIALIZED (SELECT ",
            moment!(),
            " AS now), m AS MATERIALIZED (SELECT now, CASE WHEN now > 9223372036854775807 - \
             $18::bigint THEN 9223372036854775807 ELSE now + $18::bigint END AS until FROM \
             moment), found AS MATERIALIZED (SELECT s.queue, s.turn, s.most, s.closed, \
             s.counted, s.paid, s.no, w.at, w.due, w.task, w.size FROM m CROSS JOIN \
             unnest($2::int[], $3::int[], $4::bigint[], $5::smallint[], $6::boolean[], \
             $7::boolean[], $8::bigint[], $9::uuid[], $10::int[], $20::text[], $21::boolean[]) \
             WITH ORDINALITY AS s(queue, turn, lane, standing, timed, closed, due, task, most, \
             counted, paid, no) CROSS JOIN LATERAL (SELECT w.ctid AS at, w.due, w.task, \
             w.size FROM gae_tasks.waiting w WHERE w.lane = s.lane AND w.standing = s.standing \
             AND w.timed = s.timed AND (w.due, w.task) >= (s.due, s.task) AND w.due <= CASE WHEN \
             s.timed AND s.closed THEN m.until ELSE 9223372036854775807 END ORDER BY w.due, \
             w.task LIMIT s.most FOR UPDATE SKIP LOCKED) w WHERE (SELECT queue_changes FROM \
             gae_tasks.version LIMIT 1) = $11), ",
            $placed,
            ", gone AS (DELETE FROM gae_tasks.waiting w USING placed p WHERE w.ctid = p.at AND \
             p.place <= $13::bigint AND p.before < $14::bigint RETURNING p.place, p.no, \
             p.counted, p.paid, w.due, w.task, w.named), given AS (INSERT INTO gae_tasks.lease \
             (task, token, expires, duration, alone, holder, named, queue, paid) SELECT g.task, \
             $15::bigint, CASE WHEN m.now > 9223372036854775807 - $16::bigint THEN \
             9223372036854775807 ELSE m.now + $16::bigint END, $16::bigint, $17::boolean, \
             $19::bigint, g.named, g.counted, g.paid FROM gone g CROSS JOIN m) SELECT ",
            task_columns!(),
            ", t.payload, g.no, g.due, g.task FROM gone g LEFT JOIN LATERAL (SELECT * FROM \
             gae_tasks.task t WHERE t.id = g.task OFFSET 0) t ON true ORDER BY g.place"
        )
    };
}

/// Of one queue, `most` tasks are in `turned`.
const TAKE: &str = take!(
    "turned AS (SELECT *, row_number() OVER (PARTITION BY queue ORDER BY closed, due, task) - 1 \
     AS nth FROM found), placed AS (SELECT *, row_number() OVER w AS place, sum(size) OVER w - \
     size AS before FROM turned WHERE nth < most WINDOW w AS (ORDER BY nth / $12::int, turn, \
     closed, due, task ROWS UNBOUNDED PRECEDING))"
);

/// Like [`TAKE`], where some sources are advanced by their priority. A place by time and priority
/// may be wider than a time.
const TAKE_BY_PRIORITY: &str = take!(
    "ranked AS (SELECT f.*, f.due - ($22::bigint[])[f.no::int]::numeric AS advanced FROM found f), \
     turned AS (SELECT *, row_number() OVER (PARTITION BY queue ORDER BY closed, advanced, task) - \
     1 AS nth FROM ranked), placed AS (SELECT *, row_number() OVER w AS place, sum(size) OVER w - \
     size AS before FROM turned WHERE nth < most WINDOW w AS (ORDER BY nth / $12::int, turn, \
     closed, advanced, task ROWS UNBOUNDED PRECEDING))"
);

/// Takes tasks of one source, which are found in their order.
const TAKE_OF_ONE: &str = take!(
    "placed AS (SELECT *, row_number() OVER w AS place, sum(size) OVER w - size AS before FROM \
     found WHERE $12::int > 0 WINDOW w AS (ROWS UNBOUNDED PRECEDING))"
);

/// What is asked of a source.
#[derive(Debug)]
pub(super) struct Ask<'a> {
    pub(super) source: &'a Source,
    /// The number of the queue: of all its sources together, `most` are taken.
    pub(super) queue: usize,
    /// The queue's place in the order of turns.
    pub(super) turn: usize,
    pub(super) most: usize,
}

impl<'a> Ask<'a> {
    /// Returns the queue if the leases count because it has limits. Those of a relay do not.
    fn counted(&self, request: &Lease) -> Option<&'a str> {
        let queue = &self.source.lane.key.queue;
        self.source.limits.filter(|_| request.room.obeys_limits).map(|_| queue.as_str())
    }

    /// Returns whether each of the leases takes a token, if they count. What was made due by hand
    /// takes none.
    fn paid(&self, request: &Lease) -> Option<bool> {
        let limits = self.source.limits.filter(|_| request.room.obeys_limits)?;
        Some(limits.rate().is_some() && !self.source.is_forced())
    }
}

/// What is asked of all sources together.
#[derive(Debug)]
pub(super) struct Terms {
    /// The moment of the leases.
    pub(super) now: Now,
    /// The count of changes of queues for which the sources were chosen; nothing is taken if they
    /// have changed since.
    pub(super) changes: i64,
    /// How many tasks a queue gives in its turn.
    pub(super) length: usize,
    pub(super) total: usize,
    /// The task whose payload reaches this number of bytes is the last.
    pub(super) bytes: usize,
    /// Whether the tasks are suspects that no other suspect may run beside.
    pub(super) alone: bool,
    /// The number of this process, if it shows that it lives.
    pub(super) holder: Option<i64>,
}

/// The tasks that were taken, in order.
#[derive(Debug, Default)]
pub(super) struct Taken {
    /// The number of each task's ask beside it.
    pub(super) tasks: Vec<(usize, LeasedTask)>,
    /// Where each ask ended, if it found a task.
    pub(super) ends: Vec<Option<(Timestamp, Uuid)>>,
    /// The waiting rows whose tasks are not stored.
    missing: Vec<Uuid>,
}

/// Takes tasks. A waiting row without a task is removed.
pub(super) async fn take(
    database: &Database,
    connection: &mut PgConnection,
    request: &Lease,
    asks: &[Ask<'_>],
    terms: &Terms,
) -> Result<Taken, Fault> {
    let token = LeaseToken::generate();
    let number = |number: usize| i32::try_from(number).unwrap_or(i32::MAX);
    let each = |of: fn(&Ask<'_>) -> usize| -> Vec<i32> {
        asks.iter().map(|ask| number(of(ask))).collect()
    };
    let sources = || asks.iter().map(|ask| ask.source);
    let by_priority = asks.len() > 1 && sources().any(|source| source.advance != 0);
    let text = match asks {
        [_] => TAKE_OF_ONE,
        _ if by_priority => TAKE_BY_PRIORITY,
        _ => TAKE,
    };
    let mut query = database
        .prepared(text)
        .bind(at(terms.now))
        .bind(each(|ask| ask.queue))
        .bind(each(|ask| ask.turn))
        .bind(sources().map(|source| source.lane.id).collect::<Vec<_>>())
        .bind(sources().map(|source| source.rank).collect::<Vec<_>>())
        .bind(sources().map(|source| source.is_timed).collect::<Vec<_>>())
        .bind(sources().map(|source| !source.is_open).collect::<Vec<_>>())
        .bind(sources().map(|source| source.first.0.as_micros()).collect::<Vec<_>>())
        .bind(sources().map(|source| source.first.1).collect::<Vec<_>>())
        .bind(each(|ask| ask.most))
        .bind(terms.changes)
        .bind(number(terms.length.max(1)))
        .bind(i64::try_from(terms.total).unwrap_or(i64::MAX))
        .bind(i64::try_from(terms.bytes).unwrap_or(i64::MAX))
        .bind(token.to_bits())
        .bind(time::micros(request.duration))
        .bind(terms.alone)
        .bind(time::micros(request.ahead))
        .bind(terms.holder)
        .bind(asks.iter().map(|ask| ask.counted(request)).collect::<Vec<_>>())
        .bind(asks.iter().map(|ask| ask.paid(request)).collect::<Vec<_>>());
    if by_priority {
        query = query.bind(sources().map(|source| source.advance).collect::<Vec<_>>());
    }
    let rows = query.fetch_all(&mut *connection).await?;
    let mut taken = Taken { ends: vec![None; asks.len()], ..Taken::default() };
    for row in &rows {
        taken.add(row, asks, token, terms.alone)?;
    }
    taken.forget_missing(database, connection).await?;
    Ok(taken)
}

impl Taken {
    fn add(
        &mut self,
        row: &PgRow,
        asks: &[Ask<'_>],
        token: LeaseToken,
        alone: bool,
    ) -> Result<(), Fault> {
        let no: i64 = row.try_get(TASK_COLUMNS + 1)?;
        let ask = usize::try_from(no - 1).unwrap_or_default();
        let (due, task) = (row.try_get(TASK_COLUMNS + 2)?, row.try_get(TASK_COLUMNS + 3)?);
        let end = (Timestamp::from_micros(due), task);
        if let Some(of_ask) = self.ends.get_mut(ask) {
            *of_ask = Some(end);
        }
        let Some(payload) = row.try_get(TASK_COLUMNS)? else {
            self.missing.push(task);
            return Ok(());
        };
        let Some(Ask { source, .. }) = asks.get(ask) else { return Ok(()) };
        self.tasks.push((ask, leased(Task::read(row, 0)?, payload, source, token, alone)));
        Ok(())
    }

    /// Ends the leases of tasks that are not stored.
    async fn forget_missing(
        &self,
        database: &Database,
        connection: &mut PgConnection,
    ) -> Result<(), Fault> {
        const FORGET: &str = "DELETE FROM gae_tasks.lease l WHERE l.task = ANY($1) AND NOT EXISTS \
                              (SELECT FROM gae_tasks.task t WHERE t.id = l.task)";
        if self.missing.is_empty() {
            return Ok(());
        }
        self.missing.iter().for_each(|task| unreadable::row(database, "waiting", id(*task)));
        database.query(FORGET).bind(&self.missing).execute(connection).await?;
        Ok(())
    }
}

fn leased(
    task: Task,
    payload: Vec<u8>,
    source: &Source,
    token: LeaseToken,
    alone: bool,
) -> LeasedTask {
    let (key, facts) = (&source.lane.key, task.facts);
    let (kind, shape) = (key.route.kind().clone(), key.route.shape());
    let spec = TaskSpec {
        name: task.name,
        unique: task.unique,
        max_attempts: facts.max_attempts,
        retry: task.retry.and_then(|retry| version::decode(&retry).ok()),
        deadline: task.deadline,
        priority: key.priority,
        attributes: task.attributes,
        ..TaskSpec::new(task.id, kind, shape, key.queue.clone())
    };
    let lease = LeaseRef::new(task.id, token);
    let mut leased = LeasedTask::new(lease, spec, payload, facts.wait.due());
    (leased.attempts, leased.first_attempt) = (facts.attempts, facts.first_attempt);
    (leased.standing, leased.alone) = (facts.standing(), alone);
    (leased.lost_leases, leased.forced) = (facts.lost_leases, key.forced);
    leased
}
