//! The limit: bare SQL on one narrow table with a primary key and one partial index.

use std::path::Path;
use std::time::{Duration, Instant};

use rusqlite::{Connection, params};

/// A payload of the size that the tasks of the benchmark have.
pub(crate) const PAYLOAD: [u8; 67] = [b'x'; 67];

/// The table, in a new file.
pub(crate) struct Raw(Connection);

impl Raw {
    /// `synchronous` is `FULL` or `NORMAL`.
    pub(crate) fn new(folder: &Path, synchronous: &str) -> Self {
        let file = folder.join("raw.db");
        for suffix in ["", "-wal", "-shm"] {
            _ = std::fs::remove_file(folder.join(format!("raw.db{suffix}")));
        }
        let connection = Connection::open(file).unwrap();
        connection.pragma_update(None, "journal_mode", "wal").unwrap();
        connection.pragma_update(None, "synchronous", synchronous).unwrap();
        connection
            .execute_batch(
                "CREATE TABLE job (id INTEGER PRIMARY KEY, due INTEGER NOT NULL, leased INTEGER, payload BLOB NOT NULL);
                 CREATE INDEX job_due ON job (due) WHERE leased IS NULL;",
            )
            .unwrap();
        Self(connection)
    }

    pub(crate) fn synchronous(&self, synchronous: &str) {
        self.0.pragma_update(None, "synchronous", synchronous).unwrap();
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
        let transaction = self.0.transaction().unwrap();
        {
            let mut insert = transaction.prepare_cached("INSERT INTO job (due, payload) VALUES (?1, ?2)").unwrap();
            for _ in 0..rows {
                insert.execute(params![1, PAYLOAD]).unwrap();
            }
        }
        transaction.commit().unwrap();
    }

    /// Claims and deletes until nothing is left, `batch` in a commit each.
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

    pub(crate) fn claim(&mut self, batch: usize) -> Vec<i64> {
        const CLAIM: &str = "UPDATE job SET leased = 1 WHERE id IN \
                             (SELECT id FROM job WHERE leased IS NULL AND due <= 1 ORDER BY due LIMIT ?1) \
                             RETURNING id, payload";
        let transaction = self.0.transaction().unwrap();
        let claimed = {
            let mut claim = transaction.prepare_cached(CLAIM).unwrap();
            let rows = claim.query_map([batch as i64], |row| {
                let payload: Vec<u8> = row.get(1)?;
                std::hint::black_box(payload);
                row.get(0)
            });
            rows.unwrap().collect::<Result<Vec<i64>, _>>().unwrap()
        };
        transaction.commit().unwrap();
        claimed
    }

    pub(crate) fn delete(&mut self, ids: &[i64]) {
        let transaction = self.0.transaction().unwrap();
        {
            let mut delete = transaction.prepare_cached("DELETE FROM job WHERE id = ?1").unwrap();
            for id in ids {
                delete.execute([id]).unwrap();
            }
        }
        transaction.commit().unwrap();
    }
}
