//! Reading stored tasks: by id, by name, and page by page.

use std::collections::HashSet;
use std::sync::Arc;

use sqlx::Row;
use sqlx::postgres::PgRow;

use super::error::Fault;
use super::record::{self, record_columns};
use super::shared::Shared;
use super::task::{self, uuid};
use crate::backend::{List, TaskFilter, TaskRecord, TaskState};
use crate::queue::QueueName;
use crate::task::{TaskId, TaskName};

/// How many rows one statement of a page returns.
const MOST: usize = 1_000;

pub(super) async fn get(shared: Arc<Shared>, id: TaskId) -> Result<Option<TaskRecord>, Fault> {
    const GET: &str = concat!(
        "SELECT ",
        record_columns!("t.payload"),
        " FROM gae_tasks.task t LEFT JOIN gae_tasks.lane l ON l.id = t.lane WHERE t.id = $1"
    );
    let mut connection = shared.database.connection().await?;
    let query = shared.database.query(GET).bind(uuid(id));
    let row = query.fetch_optional(&mut *connection).await?;
    row.map(|row| record::read(&shared.database, &row)).transpose()
}

pub(super) async fn find(
    shared: Arc<Shared>,
    queue: QueueName,
    name: TaskName,
) -> Result<Option<TaskRecord>, Fault> {
    const FIND: &str = concat!(
        "SELECT ",
        record_columns!("t.payload"),
        " FROM gae_tasks.name n JOIN gae_tasks.task t ON t.id = n.task LEFT JOIN gae_tasks.lane l \
          ON l.id = t.lane WHERE n.queue = $1 AND n.name = $2 AND n.until IS NULL"
    );
    let mut connection = shared.database.connection().await?;
    let query = shared.database.query(FIND).bind(queue.as_str()).bind(name.as_str());
    let row = query.fetch_optional(&mut *connection).await?;
    row.map(|row| record::read(&shared.database, &row)).transpose()
}

pub(super) async fn stored(shared: Arc<Shared>, ids: Vec<TaskId>) -> Result<Vec<TaskId>, Fault> {
    const STORED: &str = "SELECT id FROM gae_tasks.task WHERE id = ANY($1)";
    let asked: Vec<_> = ids.iter().map(|id| uuid(*id)).collect();
    let mut connection = shared.database.connection().await?;
    let rows = shared.database.query(STORED).bind(asked).fetch_all(&mut *connection).await?;
    let stored = rows.iter().map(|row| row.try_get(0).map(task::id));
    let stored = stored.collect::<Result<HashSet<_>, _>>()?;
    Ok(ids.into_iter().filter(|id| stored.contains(id)).collect())
}

pub(super) async fn list(shared: Arc<Shared>, request: List) -> Result<Vec<TaskRecord>, Fault> {
    let mut connection = shared.database.connection().await?;
    let (mut page, mut after) = (Vec::new(), request.after);
    // Counted here, so that skipped tasks make no page shorter: callers take a short page for the
    // last.
    while page.len() < request.limit {
        let most = MOST.min(request.limit - page.len());
        let rows = rows(&shared, &mut connection, &request, after, most).await?;
        page.extend(record::read_all(&shared.database, &rows));
        match rows.last() {
            Some(last) if rows.len() == most => after = Some(task::id(last.try_get(0)?)),
            _ => break,
        }
    }
    Ok(page)
}

async fn rows(
    shared: &Shared,
    connection: &mut sqlx::PgConnection,
    request: &List,
    after: Option<TaskId>,
    most: usize,
) -> Result<Vec<PgRow>, Fault> {
    let TaskFilter { queue, kind, .. } = &request.filter;
    let query = shared
        .database
        .query(text(request))
        .bind(after.map(uuid))
        .bind(queue.as_ref().map(|queue| queue.as_str()))
        .bind(kind.as_ref().map(|kind| kind.as_str()))
        .bind(i64::try_from(most).unwrap_or(i64::MAX));
    Ok(query.fetch_all(connection).await?)
}

/// Returns the statement for a page of the tasks from `$tables`, with the ids `$id`, in the state
/// `$state`.
macro_rules! page {
    ($request:expr, $tables:literal, $id:literal, $state:literal) => {
        match ($request.newest_first, $request.with_payloads) {
            (false, false) => page!(@oldest "NULL::bytea", $tables, $id, $state),
            (false, true) => page!(@oldest "t.payload", $tables, $id, $state),
            (true, false) => page!(@newest "NULL::bytea", $tables, $id, $state),
            (true, true) => page!(@newest "t.payload", $tables, $id, $state),
        }
    };
    (@oldest $payload:literal, $($of:literal),+) => {
        page!(@ $payload, ">=", "00000000-0000-0000-0000-000000000000", "", $($of),+)
    };
    (@newest $payload:literal, $($of:literal),+) => {
        page!(@ $payload, "<=", "ffffffff-ffff-ffff-ffff-ffffffffffff", " DESC", $($of),+)
    };
    (@ $payload:literal, $later:literal, $first:literal, $order:literal, $tables:literal,
     $id:literal, $state:literal) => {
        // The index is read from one id on, whether there is a page before this one or not.
        concat!(
            "SELECT ", record_columns!($payload), " FROM ", $tables, " LEFT JOIN gae_tasks.lane l \
             ON l.id = t.lane WHERE ", $id, " ", $later, " coalesce($1, '", $first, "'::uuid) AND \
             ($1 IS NULL OR ", $id, " <> $1) AND ($2::text IS NULL OR l.queue = $2) AND ($3::text \
             IS NULL OR l.kind = $3)", $state, " ORDER BY ", $id, $order, " LIMIT $4"
        )
    };
}

fn text(request: &List) -> &'static str {
    match request.filter.state {
        None => page!(request, "gae_tasks.task t", "t.id", ""),
        Some(TaskState::Scheduled) => page!(
            request,
            "gae_tasks.task t",
            "t.id",
            " AND t.died IS NULL AND NOT EXISTS (SELECT FROM gae_tasks.lease e WHERE e.task = t.id)"
        ),
        // Whatever the server believes about the tables, it reads the leases first.
        Some(TaskState::Leased) => page!(
            request,
            "gae_tasks.lease e CROSS JOIN LATERAL (SELECT * FROM gae_tasks.task WHERE id = e.task \
             OFFSET 0) t",
            "e.task",
            " AND t.died IS NULL"
        ),
        Some(TaskState::Dead) => {
            page!(request, "gae_tasks.task t", "t.id", " AND t.died IS NOT NULL")
        }
    }
}
