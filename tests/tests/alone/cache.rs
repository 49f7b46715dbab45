//! Scanning a large queue must not slow down work on the queue. A process shares one cache.
#![cfg(all(target_os = "linux", feature = "sqlite"))]

use std::fs;
use std::sync::Arc;
use std::time::Duration;

use gae_tasks::backend::sqlite::Sqlite;
use gae_tasks::backend::{
    Backend, Enqueue, Lease, List, NewTask, Pull, Room, Routes, Settle, TaskFilter, Verdict,
};
use gae_tasks::testing::conformance::settlement;
use gae_tasks::{Kind, Now, QueueName, Shape, TaskId, TaskSpec, Timestamp};

const TASKS: u128 = 24_000;
const ROUNDS: u64 = 50;
const EACH: usize = 20;

/// All connections share one SQLite cache, as built by rusqlite: a scanning connection took pages
/// from the writer's connection, which then dropped every page after use and read it again for the
/// next statement.
#[tokio::test]
async fn a_scan_does_not_cost_the_writer_its_cache() {
    let folder = tempfile::tempdir().expect("a folder");
    let sqlite = Sqlite::open(folder.path().join("tasks.db")).await.expect("a fresh file opens");
    for first in (0..TASKS).step_by(1_000) {
        let tasks = (first..first + 1_000).map(task).collect();
        sqlite.enqueue(Enqueue::new(now(), tasks)).await.expect("room for them");
    }
    for _ in 0..3 {
        let all = List::new(TaskFilter::new(), usize::MAX);
        assert_eq!(sqlite.list(all).await.expect("a list").len() as u128, TASKS);
    }
    let before = reads_of_the_writer();
    for _ in 0..ROUNDS {
        run_some(&sqlite).await;
    }
    let reads = (reads_of_the_writer() - before) / (ROUNDS * EACH as u64);
    assert!(reads < 4, "{reads} reads a task");
}

async fn run_some(sqlite: &Sqlite) {
    let queues = Arc::new([QueueName::DEFAULT].into());
    let lease = Lease::new(now(), queues, Routes::Any, Room::new(EACH), Duration::from_secs(30));
    let leased = sqlite.lease(lease).await.expect("a lease");
    assert_eq!(leased.tasks.len(), EACH);
    let settlements =
        leased.tasks.iter().map(|task| settlement(task.lease, None, Verdict::Done)).collect();
    sqlite.settle(Settle::new(now(), settlements)).await.expect("settled");
}

fn now() -> Now {
    Now::At(Timestamp::from_micros(1_800_000_000_000_000))
}

fn task(number: u128) -> NewTask {
    NewTask::new(
        TaskSpec::new(
            TaskId::from_bytes(number.to_be_bytes()),
            Kind::new("cache/task").expect("a kind"),
            Shape::from_bits(1),
            QueueName::DEFAULT,
        ),
        vec![7; 800],
        [],
    )
}

/// Returns the number of file reads of the writer's thread.
fn reads_of_the_writer() -> u64 {
    let threads = fs::read_dir("/proc/self/task")
        .expect("this process")
        .map(|entry| entry.expect("a thread").path());
    let is_writer = |thread: &std::path::PathBuf| {
        fs::read_to_string(thread.join("comm")).is_ok_and(|name| name.trim() == "gae-tasks-write")
    };
    let writer = threads.into_iter().find(is_writer).expect("the writer's thread");
    let counters = fs::read_to_string(writer.join("io")).expect("its counters");
    let line =
        counters.lines().find_map(|line| line.strip_prefix("syscr: ")).expect("the count of reads");
    line.parse().expect("a number")
}
