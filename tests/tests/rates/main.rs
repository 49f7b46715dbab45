//! Three worker processes on one queue with a rate, in a binary of their own: tests beside them
//! would take their processors.
#![cfg(all(feature = "sqlite", unix))]

use std::path::Path;
use std::process::{Child, Command};
use std::time::Duration;

use gae_tasks::{Client, TaskId};
use gae_tasks_tests::rates::{self, Rate};
use rusqlite::Connection;

const WORKERS: usize = 3;

const RATE: Rate = Rate { per_second: 100, burst: 20 };

/// Keeps each row of leases with its time, by the clock of the process that wrote it. The leases of
/// a row are never extended here, so the row is written once and then only becomes shorter.
const WATCH: &str = "CREATE TABLE seen (at INTEGER NOT NULL, tasks BLOB NOT NULL);
                     CREATE TRIGGER see AFTER INSERT ON gae_tasks_lease
                     BEGIN INSERT INTO seen VALUES (new.expires - new.duration, new.tasks); END";

/// The processes, killed on drop.
struct Workers(Vec<Child>);

impl Workers {
    fn start(url: &str) -> Self {
        let start = |_| Command::new(env!("CARGO_BIN_EXE_rates")).arg(url).spawn().unwrap();
        Self((0..WORKERS).map(start).collect())
    }
}

impl Drop for Workers {
    fn drop(&mut self) {
        for worker in &mut self.0 {
            _ = worker.kill();
            _ = worker.wait();
        }
    }
}

/// Returns each task with the time of its lease.
fn leases(file: &Path) -> Vec<(String, i64)> {
    let connection = Connection::open(file).unwrap();
    let mut statement = connection.prepare("SELECT at, tasks FROM seen ORDER BY at").unwrap();
    let rows = statement
        .query_map([], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, Vec<u8>>(1)?)))
        .unwrap();
    let mut leases = Vec::new();
    for (at, tasks) in rows.map(Result::unwrap) {
        // The first 16 of 24 bytes are the id.
        for task in tasks.chunks(24) {
            let id = TaskId::from_bytes(task[..16].try_into().unwrap());
            leases.push((id.to_string(), at));
        }
    }
    leases
}

#[tokio::test]
async fn three_processes_keep_one_rate() {
    let folder = tempfile::tempdir().unwrap();
    let (file, log) = (folder.path().join("tasks.db"), folder.path().join("log"));
    let url = format!("sqlite:{}", file.display());
    let time = rates::watched();
    let tasks = Client::open(&url).await.unwrap();
    RATE.prepare(&tasks, &log, time).await.unwrap();
    Connection::open(&file).unwrap().execute_batch(WATCH).unwrap();
    let workers = Workers::start(&url);
    tokio::time::sleep(time + Duration::from_secs(1)).await;
    drop(workers);
    RATE.check(leases(&file), &rates::read(&log).unwrap());
}
