//! Cancellations beside what others do to the same rows.

use std::time::{Duration, Instant};

use gae_tasks::backend::postgres::Postgres;
use gae_tasks::backend::{Backend, Cancelled, Pull, Settled, Settlement, TaskRequest, Verdict};
use gae_tasks::{Error, Now};

use crate::stage::{Stage, done, end, id, named, retry};

async fn cancel(stage: &Stage, number: u32) -> Result<Cancelled, Error> {
    stage.backend.cancel(TaskRequest::new(Now::Storage, id(number))).await
}

#[tokio::test]
async fn a_cancellation_waits_for_who_renews_the_lease() {
    let stage = Stage::new().await;
    stage.store("q", 1..2).await;
    let leases = stage.leases(1).await;
    let holder = stage.transaction("UPDATE gae_tasks.lease SET expires = expires + 1").await;
    let (cancelled, ()) = tokio::join!(cancel(&stage, 1), async {
        stage.blocked().await;
        end(holder, "COMMIT").await;
    });
    assert_eq!(cancelled.unwrap(), Cancelled::Requested);
    assert_eq!(stage.backend.cancelled().await.unwrap(), leases);
}

#[tokio::test]
async fn a_task_that_is_leased_meanwhile_is_not_removed() {
    const LEASE: &str = "WITH gone AS (DELETE FROM gae_tasks.waiting RETURNING task, named) INSERT \
                         INTO gae_tasks.lease (task, token, expires, duration, alone, named) \
                         SELECT task, 7, 9000000000000000, 30000000, false, named FROM gone";
    let stage = Stage::new().await;
    stage.store("q", 1..2).await;
    let holder = stage.transaction(LEASE).await;
    let (cancelled, ()) = tokio::join!(cancel(&stage, 1), async {
        stage.blocked().await;
        end(holder, "COMMIT").await;
    });
    assert_eq!(cancelled.unwrap(), Cancelled::Requested);
    assert_eq!([stage.count("task").await, stage.count("lease").await], [1, 1]);
}

#[tokio::test]
async fn a_task_whose_lease_ends_meanwhile_is_removed() {
    let stage = Stage::new().await;
    stage.enqueue(vec![named("q", 1)]).await;
    let leases = stage.leases(1).await;
    // What a settlement does.
    let release = "SELECT FROM gae_tasks.task FOR UPDATE; DELETE FROM gae_tasks.lease; INSERT INTO \
                   gae_tasks.waiting (lane, due, task, size, standing, timed, named) SELECT lane, \
                   schedule_time, id, 7, 0, false, true FROM gae_tasks.task";
    let holder = stage.transaction(release).await;
    let (cancelled, ()) = tokio::join!(cancel(&stage, 1), async {
        stage.blocked().await;
        end(holder, "COMMIT").await;
    });
    assert_eq!(cancelled.unwrap(), Cancelled::Removed);
    let rows = [stage.count("task").await, stage.count("waiting").await, stage.count("name").await];
    assert_eq!(rows, [0, 0, 1], "its name leaves a tombstone");
    assert_eq!(stage.settle(vec![done(leases[0])]).await, [Settled::LeaseLost]);
}

#[tokio::test]
async fn a_task_that_is_held_for_long_is_named() {
    let stage = Stage::new().await;
    stage.store("q", 1..2).await;
    let holder = stage.transaction("SELECT FROM gae_tasks.task FOR UPDATE").await;
    let begun = Instant::now();
    let error = cancel(&stage, 1).await.unwrap_err().to_string();
    assert!(error.contains(&id(1).to_string()), "{error}");
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    end(holder, "ROLLBACK").await;
    assert_eq!(cancel(&stage, 1).await.unwrap(), Cancelled::Removed);
}

#[tokio::test]
async fn another_process_sees_what_was_cancelled_and_is_bound_by_it() {
    let stage = Stage::new().await;
    stage.store("q", 1..4).await;
    let leases = stage.leases(3).await;
    let other = Postgres::open(&stage.database.url()).await.expect("it opens");
    let cancelled = other.cancel(TaskRequest::new(Now::Storage, id(2))).await.unwrap();
    assert_eq!(cancelled, Cancelled::Requested);
    assert_eq!(stage.backend.cancelled().await.unwrap(), leases[1..2]);
    assert_eq!(stage.extend(leases.clone()).await, [true; 3]);
    let settlements = leases.iter().map(|lease| Settlement::new(*lease, retry())).collect();
    let settled = stage.settle(settlements).await;
    assert!(matches!(settled[..], [Settled::Scheduled(_), Settled::Dead, Settled::Scheduled(_)]));
    assert_eq!(stage.backend.cancelled().await.unwrap(), []);
}

#[tokio::test]
async fn a_cancelled_task_that_is_done_beside_others_is_done() {
    let stage = Stage::new().await;
    stage.store("q", 1..4).await;
    let leases = stage.leases(3).await;
    assert_eq!(cancel(&stage, 2).await.unwrap(), Cancelled::Requested);
    let settlements = leases.iter().map(|lease| done(*lease)).collect();
    assert_eq!(stage.settle(settlements).await, [Settled::Done; 3]);
    assert_eq!([stage.count("task").await, stage.count("lease").await], [0, 0]);
}

#[tokio::test]
async fn a_release_of_a_cancelled_task_makes_a_dead_letter_in_its_lane() {
    let stage = Stage::new().await;
    stage.store("q", 1..2).await;
    stage.backend.run_now(TaskRequest::new(Now::Storage, id(1))).await.unwrap();
    let leases = stage.leases(1).await;
    assert_eq!(cancel(&stage, 1).await.unwrap(), Cancelled::Requested);
    let released = Settlement::new(leases[0], Verdict::Release);
    assert_eq!(stage.settle(vec![released]).await, [Settled::Dead]);
    assert_eq!([stage.count("waiting").await, stage.count("lease").await], [0, 0]);
    stage.backend.replay(TaskRequest::new(Now::Storage, id(1))).await.unwrap();
    assert_eq!(stage.leases(1).await.len(), 1);
}
