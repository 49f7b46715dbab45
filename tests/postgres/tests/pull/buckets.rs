//! The rows of queues with limits: locked, lost or damaged, by whichever clock, and how they come
//! and go.

use std::sync::Arc;
use std::time::{Duration, Instant};

use gae_tasks::Now;
use gae_tasks::backend::postgres::Postgres;
use gae_tasks::backend::{Backend, DeleteQueue, Pull, TaskRequest, Verdict};
use gae_tasks_tests_postgres::{Cluster, Refusal, Skew};
use tokio::time::{sleep, timeout};

use crate::limits::{limited, places, rate};
use crate::stage::{Stage, done, end, id, leasing, queue};

const SECOND: Duration = Duration::from_secs(1);

/// Leases from the queue `q` until so many tasks at least were leased. Returns how many tries it
/// took.
async fn lease_all(stage: &Stage, tasks: usize) -> usize {
    let (begun, mut leased, mut tries) = (Instant::now(), 0, 0);
    while leased < tasks {
        assert!(begun.elapsed() < 20 * SECOND, "{leased} of {tasks} in {tries} tries");
        let answer = stage.lease(10).await;
        leased += answer.tasks.len();
        tries += 1;
        sleep(answer.next.unwrap_or(SECOND / 20).min(SECOND / 2)).await;
    }
    tries
}

#[tokio::test]
async fn a_row_that_somebody_holds_delays_only_its_queue() {
    let stage = limited(places(5)).await;
    stage.store("q", 1..4).await;
    let running = stage.leases(1).await;
    stage.store("r", 4..7).await;
    let hold = "SELECT FROM gae_tasks.bucket WHERE queue = 'q' FOR UPDATE";
    let holder = stage.transaction(hold).await;
    let request = leasing(["q", "r"], 10);
    let lease = || async {
        let leased = timeout(2 * SECOND, stage.backend.lease(request.clone())).await;
        leased.expect("the row is waited for").expect("the server answers")
    };
    let ids: Vec<_> = lease().await.tasks.iter().map(|task| task.lease.id).collect();
    assert_eq!(ids, [id(4), id(5), id(6)]);
    let (begun, mut leases) = (Instant::now(), 0);
    while begun.elapsed() < SECOND {
        let leased = lease().await;
        assert_eq!(leased.tasks.len(), 0);
        sleep(leased.next.expect("the queue is asked again")).await;
        leases += 1;
    }
    assert!((3..=20).contains(&leases), "{leases} leases in a second");
    let settled = timeout(2 * SECOND, stage.settle(vec![done(running[0])])).await;
    settled.expect("the end of a lease waits for the row");
    end(holder, "ROLLBACK").await;
    lease_all(&stage, 2).await;
}

#[tokio::test]
async fn a_release_does_not_wait_long_for_a_row_that_somebody_holds() {
    let stage = limited(rate(0.001, 2)).await;
    stage.store("q", 1..3).await;
    let leases = stage.leases(1).await;
    let holder = stage.transaction("SELECT FROM gae_tasks.bucket FOR UPDATE").await;
    let mut released = done(leases[0]);
    released.verdict = Verdict::Release;
    let settled = timeout(2 * SECOND, stage.settle(vec![released])).await;
    settled.expect("the row is waited for");
    end(holder, "ROLLBACK").await;
    assert_eq!(stage.count("lease").await, 0);
}

#[tokio::test]
async fn a_row_that_is_lost_is_made_again_without_tokens() {
    let stage = limited(rate(2.0, 5)).await;
    stage.store("q", 1..9).await;
    stage.execute("DELETE FROM gae_tasks.bucket").await;
    let begun = Instant::now();
    assert!(lease_all(&stage, 1).await > 1);
    assert!(begun.elapsed() >= SECOND / 2, "it had a token after {:?}", begun.elapsed());
    assert_eq!(stage.count("bucket").await, 1);
}

#[tokio::test]
async fn a_queue_with_places_only_goes_on_though_its_row_is_lost() {
    let stage = limited(places(2)).await;
    stage.store("q", 1..9).await;
    stage.leases(1).await;
    stage.execute("DELETE FROM gae_tasks.bucket").await;
    lease_all(&stage, 1).await;
    sleep(SECOND / 20).await;
    assert_eq!(stage.lease(10).await.tasks.len(), 0, "what ran before counts");
}

#[tokio::test]
async fn a_row_with_impossible_values_gives_at_most_a_full_bucket() {
    const MOST: i64 = i64::MAX;
    for (millionths, at, tasks) in [(MOST, MOST, 3), (-1, 0, 3), (MOST, 0, 3), (-1, MOST, 0)] {
        let stage = limited(rate(0.001, 3)).await;
        stage.store("q", 1..9).await;
        let damage = format!("UPDATE gae_tasks.bucket SET millionths = {millionths}, at = {at}");
        stage.execute(&damage).await;
        assert_eq!(stage.lease(10).await.tasks.len(), tasks, "{millionths} {at}");
        let mended = "bucket WHERE millionths BETWEEN 0 AND 3000000 AND at BETWEEN 1 AND \
                      extract(epoch FROM clock_timestamp()) * 1000000";
        assert_eq!(stage.count(mended).await, 1, "{millionths} {at}");
    }
}

/// The clock of this process goes on alike.
#[tokio::test]
async fn tokens_flow_by_the_clock_of_the_database_which_may_be_set() {
    let database = Cluster::shared().await.database().await;
    let clock = Skew::of(&database).await;
    let backend = Arc::new(Postgres::open(&database.url()).await.expect("it opens"));
    let stage = Stage { database, backend };
    stage.backend.put_queue(queue("q"), rate(5.0, 3)).await.expect("the server answers");
    stage.store("q", 1..20).await;
    assert_eq!(stage.leases(10).await.len(), 3);
    clock.set(3_600).await;
    sleep(SECOND / 4).await;
    assert_eq!(stage.leases(10).await.len(), 3, "an hour has passed");
    clock.set(-3_600).await;
    sleep(SECOND / 4).await;
    let back = stage.lease(10).await;
    assert_eq!(back.tasks.len(), 0, "no time has passed");
    let next = back.next.expect("time counts from now on");
    assert!(next <= SECOND / 5, "{next:?}");
    lease_all(&stage, 1).await;
}

#[tokio::test]
async fn a_lease_that_fails_takes_no_token_and_no_place() {
    for code in ["40001", "40P01", "57P01", "25006", "23514"] {
        let stage = limited(rate(0.001, 3).with_max_concurrent_dispatches(3)).await;
        stage.store("q", 1..9).await;
        let refusal = Refusal::of(&stage.database).await;
        refusal.begin(code, 1).await;
        let failed = stage.backend.lease(leasing(["q"], 10)).await.map_or(0, |it| it.tasks.len());
        assert!(refusal.met().await > 0, "nothing was refused");
        assert_eq!((failed, stage.count("lease").await), (0, 0), "{code}");
        refusal.end().await;
        lease_all(&stage, 3).await;
        assert_eq!(stage.count("lease").await, 3);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn leases_that_are_just_given_count_where_a_queue_gets_limits() {
    let stage = Stage::new().await;
    stage.store("q", 1..4).await;
    let giving = stage
        .transaction(
            "WITH w AS (DELETE FROM gae_tasks.waiting WHERE task::text LIKE '%1' RETURNING task) \
             INSERT INTO gae_tasks.lease (task, token, expires, duration, alone, named) SELECT \
             task, 7, 9, 9, false, false FROM w",
        )
        .await;
    let backend = Arc::clone(&stage.backend);
    let put = tokio::spawn(async move { backend.put_queue(queue("q"), places(1)).await });
    while stage.count("bucket").await == 0 {
        tokio::task::yield_now().await;
    }
    end(giving, "COMMIT").await;
    put.await.expect("no panic").expect("the server answers");
    assert_eq!(stage.count("lease WHERE queue = 'q' AND paid IS NULL").await, 1);
    assert_eq!(stage.lease(10).await.tasks.len(), 0);
}

#[tokio::test]
async fn a_queue_has_a_row_while_it_has_limits_and_is_stored() {
    let stage = Stage::new().await;
    stage.store("r", 1..2).await;
    assert_eq!(stage.count("bucket").await, 0);
    for _ in 0..2 {
        stage.backend.put_queue(queue("q"), rate(0.001, 2)).await.expect("the server answers");
        assert_eq!(stage.count("bucket WHERE queue = 'q'").await, 1);
        stage.store("q", 2..5).await;
        let leases = stage.leases(10).await;
        assert_eq!(leases.len(), 2, "the bucket of a new queue is full");
        let delete = DeleteQueue::new(Now::Storage, queue("q")).with_tasks();
        stage.backend.delete_queue(delete).await.expect("the server answers");
        assert_eq!(stage.count("bucket").await, 0);
    }
}

/// As after a call that failed between its commit and the end of those who were leasing then.
#[tokio::test]
async fn a_limit_that_is_put_again_counts_what_was_forgotten() {
    let stage = limited(places(2)).await;
    stage.store("q", 1..9).await;
    assert_eq!(stage.leases(10).await.len(), 2);
    stage.execute("UPDATE gae_tasks.lease SET queue = NULL").await;
    stage.backend.put_queue(queue("q"), places(2)).await.expect("the server answers");
    assert_eq!(stage.count("lease WHERE queue = 'q'").await, 2);
    assert_eq!(stage.lease(10).await.tasks.len(), 0);
}

#[tokio::test]
async fn a_task_that_is_run_by_hand_needs_a_free_runner_though_the_row_is_held() {
    let stage = limited(places(5)).await;
    stage.store("q", 1..4).await;
    let run = stage.backend.run_now(TaskRequest::new(Now::Storage, id(2))).await;
    run.expect("the task waits");
    let holder = stage.transaction("SELECT FROM gae_tasks.bucket FOR UPDATE").await;
    let mut request = leasing(["q"], 10);
    request.room.startable = 0;
    let none = stage.backend.lease(request.clone()).await.expect("the server answers");
    assert_eq!(none.tasks.len(), 0);
    request.room.startable = 1;
    let leased = stage.backend.lease(request).await.expect("the server answers").tasks;
    let leased: Vec<_> = leased.iter().map(|task| (task.lease.id, task.at_once)).collect();
    assert_eq!(leased, [(id(2), true)]);
    end(holder, "ROLLBACK").await;
}
