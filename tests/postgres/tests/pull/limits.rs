//! Queues with limits: tokens and places are counted once, whichever process leases.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use gae_tasks::backend::postgres::Postgres;
use gae_tasks::backend::{Backend, LeasedTask, Pull, Settle, Settled, TaskRequest};
use gae_tasks::{Now, QueueConfig};
use gae_tasks_tests_postgres::{Cluster, LeaseTimes, Pooler, assert_rate};
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::stage::{Stage, done, end, id, leasing, queue, task};

const SECOND: Duration = Duration::from_secs(1);

/// Limits of what runs at a time.
pub(crate) fn places(most: u32) -> QueueConfig {
    QueueConfig::new().with_max_concurrent_dispatches(most)
}

/// Limits of what starts in a second.
pub(crate) fn rate(per_second: f64, burst: u32) -> QueueConfig {
    QueueConfig::new().with_max_dispatches_per_second(per_second).with_max_burst_size(burst)
}

/// A stage on which the queue `q` has limits.
pub(crate) async fn limited(config: QueueConfig) -> Stage {
    let stage = Stage::new().await;
    stage.backend.put_queue(queue("q"), config).await.expect("the server answers");
    stage
}

async fn open(url: &str) -> Arc<Postgres> {
    Arc::new(Postgres::open(url).await.expect("it opens"))
}

async fn settle(backend: &Postgres, tasks: &[LeasedTask]) {
    let settlements = tasks.iter().map(|task| done(task.lease)).collect();
    let settled = backend.settle(Settle::new(Now::Storage, settlements)).await;
    assert!(settled.expect("the server answers").iter().all(|one| *one == Settled::Done));
}

#[tokio::test]
async fn a_queue_without_limits_has_nothing_to_do_with_those_that_have_some() {
    let stage = limited(places(1)).await;
    stage.store("r", 1..4).await;
    let request = leasing(["q", "r"], 10);
    let holder = stage.transaction("LOCK TABLE gae_tasks.bucket IN ACCESS EXCLUSIVE MODE").await;
    let worked = async {
        let leased = stage.backend.lease(request).await.expect("the server answers");
        assert_eq!(leased.tasks.len(), 3);
        assert_eq!(stage.count("lease WHERE queue IS NOT NULL OR paid IS NOT NULL").await, 0);
        settle(&stage.backend, &leased.tasks).await;
    };
    timeout(5 * SECOND, worked).await.expect("the buckets are asked");
    end(holder, "ROLLBACK").await;
}

/// Works on the queue `q` for as long as there are tasks `left`; at no time may more than `most`
/// run.
async fn work(
    backend: Arc<Postgres>,
    most: usize,
    running: Arc<AtomicUsize>,
    left: Arc<AtomicUsize>,
) {
    let (request, mut wakeups) = (leasing(["q"], 10), backend.wakeups());
    while left.load(Ordering::Acquire) > 0 {
        wakeups.mark_unchanged();
        let leased = backend.lease(request.clone()).await.expect("the server answers");
        let tasks = leased.tasks;
        let now = running.fetch_add(tasks.len(), Ordering::AcqRel) + tasks.len();
        assert!(now <= most, "{now} run at a time");
        if tasks.is_empty() {
            let pause = leased.next.unwrap_or(SECOND / 20).min(SECOND / 20);
            _ = timeout(pause, wakeups.changed()).await;
            continue;
        }
        running.fetch_sub(tasks.len(), Ordering::AcqRel);
        settle(&backend, &tasks).await;
        left.fetch_sub(tasks.len(), Ordering::AcqRel);
    }
}

/// Has processes that connect by this URL race for the places of the queue `q`.
async fn race(stage: &Stage, url: &str, most: usize) {
    stage.backend.put_queue(queue("q"), places(most as u32)).await.expect("the server answers");
    stage.store("q", 1..61).await;
    let (running, left) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(60)));
    let mut workers = JoinSet::new();
    for _ in 0..3 {
        let backend = open(url).await;
        workers.spawn(work(backend, most, Arc::clone(&running), Arc::clone(&left)));
    }
    timeout(60 * SECOND, workers.join_all()).await.expect("tasks are left");
    assert_eq!([stage.count("task").await, stage.count("lease").await], [0, 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn processes_that_race_for_places_never_run_more_than_there_are() {
    for most in [1, 4] {
        let stage = Stage::new().await;
        let url = stage.database.url();
        race(&stage, &url, most).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn processes_that_race_behind_a_pooler_never_run_more_either() {
    let stage = Stage::new().await;
    let pooler = Pooler::before(Cluster::shared().await).await;
    let url = format!("{}?pooler=transaction", pooler.url(stage.database.name()));
    race(&stage, &url, 2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn processes_together_start_what_the_rate_allows_and_hardly_less() {
    const RATE: usize = 200;
    const BURST: usize = 20;
    let stage = limited(rate(RATE as f64, BURST as u32)).await;
    let times = LeaseTimes::of(&stage.database).await;
    stage.store("q", 0..1_500).await;
    let begun = Instant::now();
    let mut workers = JoinSet::new();
    for _ in 0..3 {
        let (backend, request) = (open(&stage.database.url()).await, leasing(["q"], 50));
        workers.spawn(async move {
            while begun.elapsed() < 3 * SECOND {
                let leased = backend.lease(request.clone()).await.expect("the server answers");
                settle(&backend, &leased.tasks).await;
                let pause = leased.next.expect("the bucket says when it has a token");
                tokio::time::sleep(pause.min(SECOND / 10)).await;
            }
        });
    }
    workers.join_all().await;
    let leased = times.all().await;
    assert_rate(&leased, RATE as f64, BURST);
    let took = leased.last().unwrap().1 - leased[0].1;
    let most = BURST + RATE * took as usize / 1_000_000;
    assert!(took > 2_000_000 && leased.len() * 100 >= most * 90, "{} of {most}", leased.len());
}

#[tokio::test]
async fn an_empty_bucket_is_not_asked_again_before_it_has_a_token() {
    let stage = limited(rate(0.5, 1)).await;
    stage.store("q", 1..4).await;
    assert_eq!(stage.lease(10).await.tasks.len(), 1);
    let holder = stage.transaction("LOCK TABLE gae_tasks.bucket IN ACCESS EXCLUSIVE MODE").await;
    let mut last = 2 * SECOND;
    for _ in 0..3 {
        let leased = timeout(SECOND / 2, stage.lease(10)).await.expect("the bucket is asked");
        let next = leased.next.expect("the time of the next token");
        assert!(leased.tasks.is_empty() && next < last, "{next:?}");
        last = next;
    }
    end(holder, "ROLLBACK").await;
}

#[tokio::test]
async fn a_guess_takes_nothing_that_an_empty_bucket_does_not_give() {
    let stage = limited(rate(0.001, 1)).await;
    let request = leasing(["q", "r"], 10);
    let lease = || async {
        let leased = stage.backend.lease(request.clone()).await.expect("the server answers");
        leased.tasks.iter().map(|task| task.lease.id).collect::<Vec<_>>()
    };
    for (of, number) in [("r", 1), ("q", 2)] {
        stage.store(of, number..number + 1).await;
        assert_eq!(lease().await, [id(number)]);
    }
    assert_eq!(lease().await, [], "the worker is idle");
    stage.store("q", 3..4).await;
    assert_eq!(lease().await, []);
}

/// Waits until nobody wakes a worker for a while.
async fn quiet(wakeups: &mut tokio::sync::watch::Receiver<u64>) {
    while timeout(SECOND / 5, wakeups.changed()).await.is_ok() {}
}

#[tokio::test(flavor = "multi_thread")]
async fn a_place_that_becomes_free_wakes_another_process_if_a_task_waits_for_it() {
    let stage = limited(places(1)).await;
    stage.store("q", 1..3).await;
    let other = open(&stage.database.url()).await;
    let mut wakeups = other.wakeups();
    // A listener that connects looks for what waits.
    timeout(20 * SECOND, wakeups.changed()).await.expect("it listens").expect("it is there");
    let leased = stage.lease(10).await;
    assert_eq!(leased.tasks.len(), 1);
    let request = leasing(["q"], 10);
    let lease = || async { other.lease(request.clone()).await.expect("the server answers").tasks };
    assert_eq!(lease().await.len(), 0);
    quiet(&mut wakeups).await;
    settle(&stage.backend, &leased.tasks).await;
    timeout(SECOND / 2, wakeups.changed()).await.expect("nobody is woken").expect("it is there");
    let tasks = lease().await;
    assert_eq!(tasks.len(), 1, "what is known of the queue is forgotten");
    let mut of_first = stage.backend.wakeups();
    quiet(&mut of_first).await;
    settle(&other, &tasks).await;
    assert!(timeout(SECOND / 5, of_first.changed()).await.is_err(), "nothing waits");
}

const QUEUES: u32 = 1_000;

/// Gives all queues the limits of the first.
const COPY: &str = "INSERT INTO gae_tasks.queue SELECT 'q' || lpad(n::text, 4, '0'), config, false \
                    FROM gae_tasks.queue CROSS JOIN generate_series(1, 999) n; INSERT INTO \
                    gae_tasks.bucket SELECT q.name, b.millionths, b.at FROM gae_tasks.queue q \
                    CROSS JOIN gae_tasks.bucket b WHERE q.name <> b.queue";

/// Makes a thousand queues in each of which one task may run. Returns their names.
async fn thousand(stage: &Stage) -> Vec<String> {
    let names: Vec<_> = (0..QUEUES).map(|number| format!("q{number:04}")).collect();
    stage.backend.put_queue(queue(&names[0]), places(1)).await.expect("the server answers");
    stage.execute(COPY).await;
    names
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_queues_with_limits_give_what_each_may() {
    let stage = Stage::new().await;
    let names = thousand(&stage).await;
    for round in 0..2 {
        let of = |(name, number): (&String, u32)| task(name, round * QUEUES + number);
        stage.enqueue(names.iter().zip(0..).map(of).collect()).await;
    }
    let mut request = leasing(names.iter().map(String::as_str), 100);
    for _ in 0..2 {
        let (mut all, mut leases) = (Vec::new(), 0);
        loop {
            let leased = stage.backend.lease(request.clone()).await.expect("the server answers");
            leases += 1;
            let Some(last) = leased.tasks.last() else { break };
            request.last_turn = Some(last.spec.queue.clone());
            all.extend(leased.tasks);
        }
        let queues: HashSet<_> = all.iter().map(|task| &task.spec.queue).collect();
        assert_eq!((all.len(), queues.len()), (1_000, 1_000));
        assert!(leases <= 20, "{leases} leases");
        settle(&stage.backend, &all).await;
    }
    assert_eq!(stage.count("task").await, 0);
}

/// No lease looks at all of the queues, so that task has to wait for its turn.
#[tokio::test(flavor = "multi_thread")]
async fn a_task_that_is_run_by_hand_in_one_of_a_thousand_queues_holds_up_no_other() {
    let stage = Stage::new().await;
    let names = thousand(&stage).await;
    stage.enqueue(names.iter().zip(0..).map(|(name, number)| task(name, number)).collect()).await;
    stage.store("z", QUEUES..QUEUES + 1).await;
    let run = stage.backend.run_now(TaskRequest::new(Now::Storage, id(QUEUES - 1))).await;
    run.expect("the task waits");
    let mut request = leasing(names.iter().map(String::as_str).chain(["z"]), 10);
    request.room.startable = 0;
    let leased = stage.backend.lease(request).await.expect("the server answers");
    let ids: Vec<_> = leased.tasks.iter().map(|task| task.lease.id).collect();
    assert_eq!(ids, [id(QUEUES)], "the queue has no limits");
}
