//! What is written of a task while it is worked on, and what is read to find it.

use std::time::Duration;

use gae_tasks::backend::postgres::Postgres;
use gae_tasks::backend::{Backend, Enqueue, Pull, Settle, Settled, Verdict};
use gae_tasks::{Now, Schedule};

use crate::stage::{Stage, done, leasing, task};

const HOUR: Duration = Duration::from_secs(3600);

/// How many tasks are due, and how many are not for an hour.
const MANY: u32 = 20_000;

/// Versions of a row with a large payload would be much for vacuum.
#[tokio::test]
async fn the_row_with_the_payload_is_written_once_however_often_its_task_is_leased() {
    let stage = Stage::new().await;
    stage.store("q", 1..2).await;
    let version = "SELECT xmin::text || ' ' || ctid::text FROM gae_tasks.task";
    let before: String = stage.database.value(version).await.expect("there is one task");
    for _ in 0..3 {
        let leases = stage.leases(1).await;
        assert_eq!(stage.extend(leases.clone()).await, [true]);
        let mut released = done(leases[0]);
        released.verdict = Verdict::Release;
        let settled = stage.settle(vec![released]).await;
        assert!(matches!(settled[..], [Settled::Scheduled(_)]), "{settled:?}");
    }
    assert_eq!(stage.database.value::<String>(version).await.expect("it is there"), before);
}

/// Tables that are written and deleted all the time are cleaned all the time.
#[tokio::test]
async fn vacuum_does_not_wait_for_a_part_of_the_tables() {
    let stage = Stage::new().await;
    let hot = "pg_class WHERE relnamespace = 'gae_tasks'::regnamespace AND \
               'autovacuum_vacuum_scale_factor=0' = ANY(reloptions) AND relname IN ('task', \
               'waiting', 'lease')";
    let settings: i64 = stage
        .database
        .value(&format!("SELECT count(*) FROM {hot}"))
        .await
        .expect("the server answers");
    assert_eq!(settings, 3);
}

/// Returns the processes of the server's connections, but for those of the harness.
async fn connections(stage: &Stage) -> Vec<i32> {
    const ALL: &str = "SELECT coalesce(array_agg(pid), '{}') FROM pg_stat_activity WHERE datname = \
                       current_database() AND application_name <> 'harness'";
    stage.database.value(ALL).await.expect("the server answers")
}

/// Does `work` with a backend of its own, whose connections have written what they counted when
/// this returns.
pub(crate) async fn with_another(stage: &Stage, work: impl AsyncFnOnce(&Postgres)) {
    let before = connections(stage).await;
    let other = Postgres::open(&stage.database.url()).await.expect("it opens");
    work(&other).await;
    drop(other);
    while connections(stage).await.iter().any(|connection| !before.contains(connection)) {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn enqueue(backend: &Postgres, numbers: std::ops::Range<u32>, schedule: Schedule) {
    let task = |number| task("q", number).with(|task| task.schedule = schedule);
    let request = Enqueue::new(Now::Storage, numbers.map(task).collect());
    backend.enqueue(request).await.expect("the server answers");
}

#[tokio::test]
async fn a_lease_reads_what_it_takes_however_much_waits() {
    let stage = Stage::new().await;
    with_another(&stage, async |backend| {
        enqueue(backend, 0..MANY, Schedule::Now).await;
        enqueue(backend, MANY..2 * MANY, Schedule::After(HOUR)).await;
    })
    .await;
    stage.execute("SELECT pg_stat_reset()").await;
    with_another(&stage, async |backend| {
        let leased = backend.lease(leasing(["q"], 10)).await.expect("the server answers");
        assert_eq!(leased.tasks.len(), 10);
    })
    .await;
    let read = rows_read(&stage).await;
    assert!(read < 500, "{read} rows were read");
}

/// Plans outlive the queue that they were made for.
#[tokio::test]
async fn what_was_planned_while_nothing_waited_reads_no_more_when_much_does() {
    let stage = Stage::new().await;
    with_another(&stage, async |backend| {
        for round in 0..20 {
            if round == 10 {
                let empty = "VACUUM (ANALYZE) gae_tasks.task, gae_tasks.waiting, gae_tasks.lease";
                stage.execute(empty).await;
            }
            enqueue(backend, round..round + 1, Schedule::Now).await;
            run(backend, 1).await;
        }
        enqueue(backend, 100..MANY, Schedule::Now).await;
        stage.execute("SELECT pg_stat_reset()").await;
        run(backend, 100).await;
    })
    .await;
    let read = rows_read(&stage).await;
    assert!(read < 2_000, "{read} rows were read");
}

/// Leases so many tasks, which are then done.
async fn run(backend: &Postgres, total: usize) {
    let leased = backend.lease(leasing(["q"], total)).await.expect("the server answers");
    assert_eq!(leased.tasks.len(), total);
    let settle = Settle::new(Now::Storage, leased.tasks.iter().map(|t| done(t.lease)).collect());
    let settled = backend.settle(settle).await.expect("the server answers");
    assert_eq!(settled, vec![Settled::Done; total]);
}

/// Returns how many rows of tasks the server has read since `pg_stat_reset()`.
async fn rows_read(stage: &Stage) -> i64 {
    let read = "SELECT coalesce(sum(seq_tup_read + coalesce(idx_tup_fetch, 0)), 0)::bigint FROM \
                pg_stat_all_tables WHERE relid IN ('gae_tasks.task'::regclass, \
                'gae_tasks.waiting'::regclass, 'gae_tasks.lease'::regclass)";
    stage.database.value(read).await.expect("the server answers")
}
