//! The baseline: the bare statements of the SQLite backend on its own tables.

use std::fmt::Write;
use std::path::Path;
use std::time::{Duration, Instant};

use rusqlite::{Connection, ToSql, params};

/// A payload of the same size as those of the benchmark's tasks.
pub(crate) const PAYLOAD: [u8; 67] = [b'x'; 67];

/// The numbers of rows that one statement writes; smaller statements write the remaining rows.
const SIZES: [usize; 3] = [16, 4, 1];

/// A connection to a new file with the backend's tables.
pub(crate) struct Raw {
    file: Connection,
    inserts: [(String, String); 3],
    last: u64,
}

impl Raw {
    /// Creates the file and its tables; `synchronous` is `FULL` or `NORMAL`.
    pub(crate) fn new(folder: &Path, synchronous: &str) -> Self {
        let path = folder.join("raw.db");
        for suffix in ["", "-wal", "-shm"] {
            _ = std::fs::remove_file(folder.join(format!("raw.db{suffix}")));
        }
        let file = Connection::open(path).unwrap();
        file.set_prepared_statement_cache_capacity(128);
        file.pragma_update(None, "journal_mode", "wal").unwrap();
        file.pragma_update(None, "cache_size", -8_000).unwrap();
        file.pragma_update(None, "wal_autocheckpoint", 2_000).unwrap();
        file.execute_batch(include_str!("../../src/backend/sqlite/schema/1.sql")).unwrap();
        file.execute_batch(
            "INSERT INTO gae_tasks_version VALUES (1, 0, 0);
             INSERT INTO gae_tasks_queue VALUES ('default', x'00', 0);
             INSERT INTO gae_tasks_lane
             VALUES (1, 'default', 'throughput/no_op', 7, 0, 1, x'', 0, 0);",
        )
        .unwrap();
        let raw = Self { file, inserts: SIZES.map(inserts), last: 0 };
        raw.synchronous(synchronous);
        raw
    }

    pub(crate) fn synchronous(&self, synchronous: &str) {
        self.file.pragma_update(None, "synchronous", synchronous).unwrap();
    }

    /// Inserts `tasks` rows, `batch` in a commit.
    pub(crate) fn insert(&mut self, tasks: usize, batch: usize) -> Duration {
        let begun = Instant::now();
        let mut left = tasks;
        while left > 0 {
            let rows = batch.min(left);
            self.insert_batch(rows);
            left -= rows;
        }
        begun.elapsed()
    }

    pub(crate) fn insert_batch(&mut self, rows: usize) {
        const READY: &str = "INSERT INTO gae_tasks_ready (standing, turn, lane, due, refused) \
                             SELECT ?1, turn, id, ?3, refusers <> x'' FROM gae_tasks_lane WHERE id \
                             = ?2 ON CONFLICT (standing, turn, lane) DO UPDATE SET due = \
                             excluded.due WHERE excluded.due < due";
        self.run("BEGIN IMMEDIATE");
        let mut left = rows;
        for (size, (task, waiting)) in SIZES.into_iter().zip(&self.inserts) {
            while left >= size {
                let ids: Vec<_> = (0..size).map(|_| next(&mut self.last)).collect();
                let due = |id: &[u8; 16]| i64::from_be_bytes(id[..8].try_into().unwrap());
                let dues: Vec<_> = ids.iter().map(due).collect();
                let mut statement = self.file.prepare_cached(task).unwrap();
                let values = ids.iter().zip(&dues).flat_map(|(id, due)| -> [&dyn ToSql; 8] {
                    [id, &1, due, due, &None::<i64>, &None::<i64>, &None::<i64>, &PAYLOAD]
                });
                statement.execute(&*values.collect::<Vec<_>>()).unwrap();
                let mut statement = self.file.prepare_cached(waiting).unwrap();
                let values = ids
                    .iter()
                    .zip(&dues)
                    .flat_map(|(id, due)| -> [&dyn ToSql; 3] { [&1, due, id] });
                statement.execute(&*values.collect::<Vec<_>>()).unwrap();
                left -= size;
            }
        }
        self.file.prepare_cached(READY).unwrap().execute(params![0, 1, i64::MIN]).unwrap();
        self.run("COMMIT");
    }

    /// Leases and deletes tasks until none is left, `batch` per commit.
    pub(crate) fn drain(&mut self, batch: usize) -> Duration {
        let begun = Instant::now();
        loop {
            let claimed = self.claim(batch);
            if claimed.is_empty() {
                return begun.elapsed();
            }
            self.delete(&claimed);
        }
    }

    /// Leases up to a batch of tasks and returns their ids in order.
    pub(crate) fn claim(&mut self, batch: usize) -> Vec<[u8; 16]> {
        const NEXT: &str = "SELECT w.due, w.task, w.since, t.name, t.schedule_time, t.attempts, \
                            t.deadline, t.attributes, t.payload, t.retry, t.max_attempts, \
                            t.first_attempt FROM gae_tasks_waiting w LEFT JOIN gae_tasks_task t ON \
                            t.id = w.task WHERE w.lane = 1 AND w.standing = 0 \
                            AND w.timed = 0 ORDER BY w.due, w.task LIMIT ?1";
        const TAKE: &str = "DELETE FROM gae_tasks_waiting WHERE lane = 1 AND standing = 0 AND \
                            timed = 0 AND (due, task) <= (?1, ?2)";
        const LEASE: &str = "INSERT INTO gae_tasks_lease (id, expires, duration, session, alone, \
                             tasks) VALUES (?1, 1, 1, 1, 0, ?2)";
        self.run("BEGIN IMMEDIATE");
        let mut next = self.file.prepare_cached(NEXT).unwrap();
        let rows = next.query_map([batch as i64], |row| {
            let payload: Vec<u8> = row.get(8)?;
            std::hint::black_box(payload);
            Ok((row.get(0)?, row.get(1)?))
        });
        let claimed = rows.unwrap().collect::<Result<Vec<(i64, [u8; 16])>, _>>().unwrap();
        drop(next);
        if let Some((due, id)) = claimed.last() {
            self.file.prepare_cached(TAKE).unwrap().execute(params![due, id]).unwrap();
        }
        for some in claimed.chunks(160) {
            let tasks: Vec<u8> =
                some.iter().flat_map(|(_, id)| id.iter().copied().chain([0; 8])).collect();
            self.file
                .prepare_cached(LEASE)
                .unwrap()
                .execute(params![token(&some[0].1), tasks])
                .unwrap();
        }
        self.run("COMMIT");
        claimed.into_iter().map(|(_, id)| id).collect()
    }

    /// Deletes tasks that were leased together.
    pub(crate) fn delete(&mut self, ids: &[[u8; 16]]) {
        const LEASE: &str = "SELECT tasks FROM gae_tasks_lease WHERE id = ?1";
        const TASK: &str =
            "DELETE FROM gae_tasks_task WHERE id = ?1 AND name IS NULL AND errors = 0";
        self.run("BEGIN IMMEDIATE");
        let mut task = self.file.prepare_cached(TASK).unwrap();
        for some in ids.chunks(160) {
            let token = token(&some[0]);
            let tasks: Vec<u8> = self
                .file
                .prepare_cached(LEASE)
                .unwrap()
                .query_row([token], |row| row.get(0))
                .unwrap();
            std::hint::black_box(tasks);
            some.iter().for_each(|id| assert_eq!(task.execute([id]).unwrap(), 1));
            self.file
                .prepare_cached("DELETE FROM gae_tasks_lease WHERE id = ?1")
                .unwrap()
                .execute([token])
                .unwrap();
        }
        drop(task);
        self.run("COMMIT");
    }

    fn run(&self, statement: &str) {
        self.file.prepare_cached(statement).unwrap().execute([]).unwrap();
    }
}

/// Returns an id after the last one: a number in place of the time, followed by pseudo-random bits.
fn next(last: &mut u64) -> [u8; 16] {
    *last += 1;
    let random = last.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mut id = [0; 16];
    id[..8].copy_from_slice(&last.to_be_bytes());
    id[8..].copy_from_slice(&random.to_be_bytes());
    id
}

/// Returns the number of a row of leases.
fn token(first: &[u8; 16]) -> i64 {
    (u64::from_be_bytes(first[8..].try_into().unwrap()) >> 1 & !255).cast_signed()
}

/// Returns the statements that write `rows` tasks.
fn inserts(rows: usize) -> (String, String) {
    let mut task = "INSERT INTO gae_tasks_task (id, lane, created, schedule_time, max_attempts, \
                    deadline, attributes, payload) VALUES "
        .to_owned();
    let mut waiting =
        "INSERT OR REPLACE INTO gae_tasks_waiting (lane, standing, timed, due, task) VALUES "
            .to_owned();
    for row in 0..rows {
        let separator = if row > 0 { ", " } else { "" };
        write!(task, "{separator}(?, ?, ?, ?, ?, ?, ?, ?)").unwrap();
        write!(waiting, "{separator}(?, 0, 0, ?, ?)").unwrap();
    }
    (task + " ON CONFLICT (id) DO NOTHING", waiting)
}
