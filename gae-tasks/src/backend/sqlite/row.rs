//! Reading stored tasks as records.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::time::Duration;

use rusqlite::types::ValueRef;
use rusqlite::{Connection, OptionalExtension, Row, ToSql, params};

use super::error::Fault;
use super::held;
use super::lane_row::{kind, queue_name, shape};
use super::unreadable;
use super::waiting::waits;
use crate::backend::lifecycle::{Facts, Wait};
use crate::backend::refusers::Refusers;
use crate::backend::{List, TaskError, TaskFilter, TaskRecord, TaskState};
use crate::queue::RetryConfig;
use crate::task::{TaskId, TaskName, TaskSpec, UniqueKey};
use crate::time::Timestamp;
use crate::version::{self, Unread};

const RECORD: &str = concat!(
    "SELECT t.id, l.kind, l.shape, t.payload, l.queue, t.name, t.created, t.schedule_time, \
                      t.first_attempt, t.attempts, t.lost_leases, t.max_attempts, t.retry, \
                      t.deadline, t.attributes, t.died, NOT ",
    waits!(),
    ", t.errors, t.lost_attempts, t.refusals, l.refusers, l.priority, l.forced \
                      FROM gae_tasks_task t CROSS JOIN gae_tasks_lane l ON l.id = t.lane"
);

/// Returns the stored task `id`.
pub(super) fn get(connection: &Connection, id: TaskId) -> Result<Option<TaskRecord>, Fault> {
    read(connection, id, true)
}

fn read(
    connection: &Connection,
    id: TaskId,
    with_payload: bool,
) -> Result<Option<TaskRecord>, Fault> {
    let mut statement =
        connection.prepare_cached(&format!("{} WHERE t.id = ?1", columns(with_payload)))?;
    let found = statement
        .query_row(params![id.as_bytes()], |row| Ok(record(connection, row)))
        .optional()?;
    found.transpose()
}

/// Returns a page of stored tasks, in the order of their ids or in reverse.
pub(super) fn list(connection: &Connection, request: &List) -> Result<Vec<TaskRecord>, Fault> {
    let TaskFilter { queue, kind, state } = &request.filter;
    if *state == Some(TaskState::Leased) {
        return leased(connection, request);
    }
    let after = request.after.map(|id| id.as_bytes().to_vec());
    let (queue, kind) = (queue.as_ref().map(AsRef::as_ref), kind.as_ref().map(AsRef::as_ref));
    let (is_later, order) =
        if request.newest_first { ("t.id <", "t.id DESC") } else { ("t.id >", "t.id") };
    let mut values: Vec<&dyn ToSql> = Vec::new();
    let mut query = format!("{} WHERE TRUE", columns(request.with_payloads));
    let after = after.as_ref().map(|after| (is_later, after as &dyn ToSql));
    let queue = queue.as_ref().map(|queue| ("l.queue =", queue as &dyn ToSql));
    let kind = kind.as_ref().map(|kind| ("l.kind =", kind as &dyn ToSql));
    for (condition, value) in [after, queue, kind].into_iter().flatten() {
        values.push(value);
        query.push_str(&format!(" AND {condition} ?{}", values.len()));
    }
    query.push_str(state.map_or("", condition));
    query.push_str(&format!(" ORDER BY {order}"));
    let mut statement = connection.prepare_cached(&query)?;
    let mut rows = statement.query(&*values)?;
    let mut page = Vec::new();
    // Counted here, so that skipped tasks make no page shorter: callers take a short page for the
    // last.
    while page.len() < request.limit
        && let Some(row) = rows.next()?
    {
        match (record(connection, row), task_id(row, 0)) {
            (Ok(record), _) => page.push(record),
            (Err(_), Ok(id)) => unreadable::task(connection, id),
            (Err(_), Err(_)) => unreadable::row(connection, "gae_tasks_task", "without an id"),
        }
    }
    Ok(page)
}

/// Returns the query for tasks. A payload may have its own pages, which are not read unless the
/// request asks for payloads.
pub(super) fn columns(with_payloads: bool) -> Cow<'static, str> {
    if with_payloads {
        Cow::Borrowed(RECORD)
    } else {
        Cow::Owned(RECORD.replace("t.payload", "NULL"))
    }
}

/// Returns a page of leased tasks, without reading any other task.
fn leased(connection: &Connection, request: &List) -> Result<Vec<TaskRecord>, Fault> {
    let List { filter: TaskFilter { queue, kind, .. }, after, limit, newest_first, with_payloads } =
        request;
    let is_later = |id: &TaskId| {
        after.is_none_or(|after| if *newest_first { *id < after } else { *id > after })
    };
    let ids = held::leases(connection)?.into_iter().map(|(held, _)| held.lease.id);
    let mut ids: Vec<_> = ids.filter(is_later).collect::<BTreeSet<_>>().into_iter().collect();
    if *newest_first {
        ids.reverse();
    }
    let is_meant = |record: &TaskRecord| {
        queue.as_ref().is_none_or(|queue| *queue == record.spec.queue)
            && kind.as_ref().is_none_or(|kind| *kind == record.spec.kind)
    };
    let mut page = Vec::new();
    for id in ids {
        if page.len() >= *limit {
            break;
        }
        match read(connection, id, *with_payloads) {
            Ok(record) => page.extend(record.filter(is_meant)),
            Err(_) => unreadable::task(connection, id),
        }
    }
    Ok(page)
}

const fn condition(state: TaskState) -> &'static str {
    match state {
        TaskState::Scheduled => concat!(" AND t.died IS NULL AND ", waits!()),
        TaskState::Leased => concat!(" AND t.died IS NULL AND NOT ", waits!()),
        TaskState::Dead => " AND t.died IS NOT NULL",
    }
}

fn record(connection: &Connection, row: &Row<'_>) -> Result<TaskRecord, Fault> {
    let id = task_id(row, 0)?;
    let errors = if row.get::<_, i64>(17)? > 0 { errors(connection, id)? } else { Vec::new() };
    // Empty bytes are not readable settings.
    let own_retry: Option<Vec<u8>> = row.get(12).unwrap_or(Some(Vec::new()));
    let (name, unique) = known_as(connection, id, row, 5);
    let spec = TaskSpec {
        name,
        unique,
        max_attempts: row.get(11)?,
        retry: retry(connection, id, own_retry.as_deref()),
        deadline: deadline(row.get(13)?),
        priority: row.get(21)?,
        attributes: row.get(14)?,
        ..TaskSpec::new(id, kind(row.get(1)?)?, shape(row.get(2)?), queue_name(row.get(4)?)?)
    };
    let facts = Facts {
        created: Timestamp::from_micros(row.get(6)?),
        // A record does not show how a task waits.
        wait: Wait::Worker(Timestamp::from_micros(row.get(7)?)),
        attempts: row.get(9)?,
        first_attempt: time(row.get(8)?),
        lost_leases: row.get(10)?,
        lost_attempts: row.get(18)?,
        refusals: row.get(19)?,
        refusers: refusers(row.get_ref(20)?),
        forced: row.get(22).unwrap_or_default(),
        max_attempts: spec.max_attempts,
        died: time(row.get(15)?),
    };
    Ok(facts.record(spec, row.get(3)?, row.get(16)?, errors))
}

/// Reads the readers that refused; if they cannot be read, none is shown.
fn refusers(bytes: ValueRef<'_>) -> Refusers {
    bytes.as_blob().ok().and_then(Refusers::from_bytes).unwrap_or_default()
}

fn errors(connection: &Connection, id: TaskId) -> Result<Vec<TaskError>, Fault> {
    const ERRORS: &str =
        "SELECT attempt, at, message FROM gae_tasks_error WHERE task = ?1 ORDER BY n";
    let mut statement = connection.prepare_cached(ERRORS)?;
    let errors = statement.query_map(params![id.as_bytes()], |row| {
        Ok(TaskError {
            attempt: row.get(0)?,
            at: Timestamp::from_micros(row.get(1)?),
            message: row.get(2)?,
        })
    })?;
    Ok(errors.collect::<Result<_, _>>()?)
}

fn time(micros: Option<i64>) -> Option<Timestamp> {
    micros.map(Timestamp::from_micros)
}

pub(super) fn task_id(row: &Row<'_>, column: usize) -> rusqlite::Result<TaskId> {
    row.get(column).map(TaskId::from_bytes)
}

/// Reads the name of a task, or its key; what cannot be read counts as none.
pub(super) fn known_as(
    connection: &Connection,
    id: TaskId,
    row: &Row<'_>,
    column: usize,
) -> (Option<TaskName>, Option<UniqueKey>) {
    let text: Result<Option<String>, _> = row.get(column);
    let text = text.ok();
    if let Some(key) = text.iter().flatten().find_map(|text| UniqueKey::of_task(text)) {
        return (None, Some(key));
    }
    let name = text.map(|text| text.map(TaskName::new).transpose());
    let Some(Ok(name)) = name else {
        unreadable::part_of_task(
            connection,
            id,
            "the name of the task cannot be read, it is treated as unnamed",
        );
        return (None, None);
    };
    (name, None)
}

/// Reads a task's own retry settings; settings that cannot be read count as none.
pub(super) fn retry(
    connection: &Connection,
    id: TaskId,
    bytes: Option<&[u8]>,
) -> Option<RetryConfig> {
    let retry = version::decode(bytes?);
    if retry == Err(Unread::Damaged) {
        unreadable::part_of_task(
            connection,
            id,
            "the task's own retry settings cannot be read, it has its queue's",
        );
    }
    retry.ok()
}

/// Returns a deadline in its stored form.
pub(super) fn nanos(deadline: Duration) -> i64 {
    i64::try_from(deadline.as_nanos()).unwrap_or(i64::MAX)
}

pub(super) fn deadline(nanos: Option<i64>) -> Option<Duration> {
    nanos.map(|nanos| Duration::from_nanos(nanos.max(0).unsigned_abs()))
}
