//! Rows of the narrow table, and the statements that store many of them.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use sqlx::postgres::PgConnection;
use uuid::{Builder, Uuid};

/// As long as the arguments of a usual task: a number and two short strings.
pub(super) const PAYLOAD: [u8; 70] =
    *b"0123456789012345678901234567890123456789012345678901234567890123456789";

/// A task that is due.
#[derive(Clone, Copy, Debug)]
pub(super) struct Row {
    pub(super) id: Uuid,
    pub(super) due: i64,
}

impl Row {
    /// Returns a row whose id and time are later than those of any before it in this program.
    pub(super) fn new() -> Self {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let mut rest = [0; 10];
        rest[2..].copy_from_slice(&NUMBER.fetch_add(1, Ordering::Relaxed).to_be_bytes());
        let millis = u64::try_from(since.as_millis()).unwrap_or(0);
        let id = Builder::from_unix_timestamp_millis(millis, &rest).into_uuid();
        Self { id, due: i64::try_from(since.as_micros()).unwrap_or(0) }
    }
}

/// Stores rows in one statement.
pub(super) async fn unnest(connection: &mut PgConnection, rows: &[Row]) -> Result<(), sqlx::Error> {
    let insert = "INSERT INTO gae_tasks_raw.tasks (id, due, payload) \
                  SELECT * FROM unnest($1::uuid[], $2::bigint[], $3::bytea[])";
    let ids: Vec<_> = rows.iter().map(|row| row.id).collect();
    let due: Vec<_> = rows.iter().map(|row| row.due).collect();
    let payloads = vec![PAYLOAD.as_slice(); rows.len()];
    sqlx::query(insert).bind(ids).bind(due).bind(payloads).execute(connection).await?;
    Ok(())
}

/// Stores rows by `COPY`.
pub(super) async fn copy(connection: &mut PgConnection, rows: &[Row]) -> Result<(), sqlx::Error> {
    let copy = "COPY gae_tasks_raw.tasks (id, due, payload) FROM STDIN (FORMAT binary)";
    // The signature, no flags, no extension.
    let mut bytes = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0".to_vec();
    for row in rows {
        bytes.extend_from_slice(&3_i16.to_be_bytes());
        for field in [row.id.as_bytes().as_slice(), &row.due.to_be_bytes(), &PAYLOAD] {
            let length = i32::try_from(field.len()).expect("fields are short");
            bytes.extend_from_slice(&length.to_be_bytes());
            bytes.extend_from_slice(field);
        }
    }
    bytes.extend_from_slice(&(-1_i16).to_be_bytes());
    let mut copying = connection.copy_in_raw(copy).await?;
    copying.send(bytes).await?;
    copying.finish().await?;
    Ok(())
}

/// Marks so many due tasks that nobody else has, the earliest first, and returns them.
pub(super) async fn claim(
    connection: &mut PgConnection,
    batch: i64,
) -> Result<Vec<Uuid>, sqlx::Error> {
    let claim = "UPDATE gae_tasks_raw.tasks SET state = 1 WHERE id = ANY(ARRAY( \
                     SELECT id FROM gae_tasks_raw.tasks WHERE state = 0 AND due <= $1 \
                     ORDER BY due LIMIT $2 FOR UPDATE SKIP LOCKED)) \
                 RETURNING id, payload";
    let claim = sqlx::query_as(claim).bind(Row::new().due).bind(batch);
    let tasks: Vec<(Uuid, Vec<u8>)> = claim.fetch_all(connection).await?;
    Ok(tasks.into_iter().map(|(id, _)| id).collect())
}

/// Removes tasks that are done.
pub(super) async fn delete(connection: &mut PgConnection, ids: &[Uuid]) -> Result<(), sqlx::Error> {
    let delete = sqlx::query("DELETE FROM gae_tasks_raw.tasks WHERE id = ANY($1)");
    delete.bind(ids).execute(connection).await?;
    Ok(())
}
