//! How many rows the server reads for an answer: no more than needed, whatever else is stored.

use std::time::Duration;

use gae_tasks::backend::postgres::Postgres;
use gae_tasks::backend::{Backend, List, Pull, Sample, TaskFilter, TaskState};
use gae_tasks::{Kind, Route, Shape, TaskName};

use crate::stage::{NOW, Stage, id, queue};

/// What the server has read of the table of tasks, payloads aside.
#[derive(Debug)]
struct Reads {
    /// Scans of the whole table.
    scans: i64,
    rows: i64,
    payloads: i64,
}

/// Returns what the server reads while a program of its own does `work`.
async fn reads(stage: &Stage, work: impl AsyncFnOnce(&Postgres)) -> Reads {
    let before = connections(stage).await;
    let other = stage.other().await;
    stage.execute("SELECT pg_stat_reset()").await;
    work(&other).await;
    drop(other);
    // Connections write what they have counted when they end.
    while connections(stage).await.iter().any(|connection| !before.contains(connection)) {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let of = |column: &str, table: &str| {
        format!("SELECT coalesce(sum({column}), 0)::bigint FROM {table}")
    };
    let task = "pg_stat_all_tables WHERE relid = 'gae_tasks.task'::regclass";
    let payloads = "pg_stat_all_tables WHERE relid = (SELECT reltoastrelid FROM pg_class WHERE oid \
                    = 'gae_tasks.task'::regclass)";
    Reads {
        scans: stage.number(&of("seq_scan", task)).await,
        rows: stage.number(&of("coalesce(idx_tup_fetch, 0) + seq_tup_read", task)).await,
        payloads: stage.number(&of("idx_tup_fetch", payloads)).await,
    }
}

/// Returns the processes of the server's connections, but for those of the harness.
async fn connections(stage: &Stage) -> Vec<i32> {
    const ALL: &str = "SELECT coalesce(array_agg(pid), '{}') FROM pg_stat_activity WHERE datname = \
                       current_database() AND application_name <> 'harness'";
    stage.database.value(ALL).await.unwrap()
}

fn list(filter: TaskFilter) -> List {
    List::new(filter, 100)
}

async fn many() -> Stage {
    let stage = Stage::new().await;
    let lane = stage.lane("many", "a/many").await;
    stage.store(lane, 0..50_000).await;
    stage.lease(20_000..20_010).await;
    stage.kill(49_000..49_200).await;
    stage
}

#[tokio::test]
async fn one_task_is_read_by_an_index() {
    let stage = many().await;
    stage
        .execute(
            "INSERT INTO gae_tasks.name VALUES ('many', 'n', \
             '00000000-0000-7000-8000-000000000007')",
        )
        .await;
    let read = reads(&stage, async |backend| {
        assert!(backend.get(id(7)).await.unwrap().is_some());
        let name = TaskName::new("n").unwrap();
        assert_eq!(backend.find(queue("many"), name).await.unwrap().unwrap().spec.id, id(7));
        assert_eq!(backend.stored(vec![id(7)]).await.unwrap(), [id(7)]);
    })
    .await;
    assert!(read.scans == 0 && read.rows <= 3, "{read:?}");
}

#[tokio::test]
async fn a_page_reads_itself() {
    let stage = many().await;
    check_pages(&stage).await;
    stage.execute("ANALYZE gae_tasks.task, gae_tasks.lease, gae_tasks.lane").await;
    check_pages(&stage).await;
}

async fn check_pages(stage: &Stage) {
    const RUNS: i64 = 8;
    for (filter, most) in [
        (TaskFilter::new(), 100),
        (TaskFilter::new().state(TaskState::Scheduled), 110),
        (TaskFilter::new().state(TaskState::Leased), 10),
        (TaskFilter::new().state(TaskState::Dead), 100),
    ] {
        let lists = [
            list(filter.clone()),
            list(filter.clone()).after(id(15_000)),
            list(filter.clone()).newest_first(),
        ];
        for list in lists {
            // Dead letters are the newest tasks. The task before the page is read too.
            let most = match filter.state {
                Some(TaskState::Scheduled) if list.newest_first => 1_300,
                _ => most,
            };
            let read = reads(stage, async |backend| {
                // The server plans a statement once for all values after it has been run for a
                // while.
                for _ in 0..RUNS {
                    let page = backend.list(list.clone()).await.unwrap();
                    assert_eq!(page.len() as i64, most.min(100), "{list:?}");
                }
            })
            .await;
            assert!(read.scans == 0 && read.rows <= RUNS * (most + 1), "{list:?}: {read:?}");
        }
    }
}

#[tokio::test]
async fn payloads_are_read_only_where_they_are_asked_for() {
    let stage = many().await;
    stage
        .execute(
            "UPDATE gae_tasks.task SET payload = convert_to(repeat('x', 50000), 'UTF8') WHERE id < \
             '00000000-0000-7000-8000-000000000064'",
        )
        .await;
    let read = reads(&stage, async |backend| {
        assert_eq!(backend.list(list(TaskFilter::new())).await.unwrap().len(), 100);
    })
    .await;
    assert_eq!(read.payloads, 0, "{read:?}");
    let read = reads(&stage, async |backend| {
        let page = backend.list(list(TaskFilter::new()).with_payloads()).await.unwrap();
        assert!(page.iter().all(|record| record.payload.as_ref().unwrap().len() == 50_000));
    })
    .await;
    assert!(read.payloads > 0, "{read:?}");
}

#[tokio::test]
async fn statistics_read_no_tasks_that_wait() {
    let stage = many().await;
    let read = reads(&stage, async |backend| {
        let stats = backend.stats(NOW).await.unwrap().remove(0).stats;
        assert_eq!((stats.scheduled, stats.leased, stats.dead), (49_790, 10, 200));
    })
    .await;
    assert!(read.scans == 0 && read.rows <= 210, "{read:?}");
}

#[tokio::test]
async fn a_sample_reads_what_it_returns() {
    let stage = many().await;
    let route = Route::new(Kind::new("a/many").unwrap(), Shape::from_bits(0));
    let read = reads(&stage, async |backend| {
        let request = Sample::new(queue("many"), vec![route], 30, 1_000_000);
        assert_eq!(backend.sample(request).await.unwrap().unwrap()[0].records.len(), 30);
    })
    .await;
    // The leases, as many dead letters, and the answer.
    assert!(read.scans == 0 && read.rows <= 10 + 30 + 30, "{read:?}");
}

#[tokio::test]
async fn a_sample_ends_with_its_bytes() {
    let stage = Stage::new().await;
    let lane = stage.lane("q", "a/b").await;
    stage.store(lane, 0..30).await;
    stage.lease(0..10).await;
    stage.kill(10..20).await;
    let route = Route::new(Kind::new("a/b").unwrap(), Shape::from_bits(0));
    let sample = async |limit, bytes| {
        let request = Sample::new(queue("q"), vec![route.clone()], limit, bytes);
        let sampled = stage.backend.sample(request).await.unwrap().unwrap().remove(0);
        sampled.records.iter().map(|record| record.state).collect::<Vec<_>>()
    };
    assert_eq!(sample(100, 3).await.len(), 3);
    let all = [[TaskState::Scheduled; 10], [TaskState::Leased; 10], [TaskState::Dead; 10]];
    assert_eq!(sample(100, 100).await, all.concat());
    assert_eq!(sample(15, 100).await, all.concat()[..15]);
}

#[test]
fn the_backend_is_one_that_workers_lease_from() {
    fn is_pull<B: Pull>() {}
    is_pull::<Postgres>();
}
