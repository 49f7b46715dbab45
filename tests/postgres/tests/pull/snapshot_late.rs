//! Beside an open snapshot, where leases begin behind the tasks that are gone: tasks that come to
//! wait further ahead are leased at once where somebody knows of them, without a sweep.

use std::sync::Arc;
use std::time::{Duration, Instant};

use gae_tasks::backend::postgres::Postgres;
use gae_tasks::backend::{
    Backend, Enqueue, NewSchedule, Pull, PutSchedules, Settle, Settlement, Standing, TaskRequest,
    Tick, TickMove, Verdict,
};
use gae_tasks::{Client, Now, Schedule, deferred};
use sqlx::Connection;
use tokio::sync::watch;
use tokio::time::timeout;

use crate::snapshot::Beside;
use crate::stage::{Stage, done, id, leasing, queue, task};

const HOUR: Duration = Duration::from_secs(3_600);

#[deferred(queue = "q")]
async fn late() {}

/// Waits until the backend of a stage hears of others, and leaves nothing waiting.
async fn listen(stage: &Stage) -> watch::Receiver<u64> {
    stage.store("q", 900..901).await;
    let mut wakeups = stage.backend.wakeups();
    // A listener that connects looks for what waits.
    let woken = timeout(Duration::from_secs(20), wakeups.changed()).await;
    woken.expect("nobody has woken the listener").expect("the backend is there");
    let settlements = stage.leases(10).await.into_iter().map(done).collect();
    stage.settle(settlements).await;
    assert_eq!(stage.leases(10).await, []);
    wakeups
}

/// Leases as long as nothing is found, as a worker does that is woken.
async fn lease_woken(stage: &Stage, wakeups: &mut watch::Receiver<u64>) -> usize {
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(10) {
        let leased = stage.leases(10).await.len();
        if leased > 0 {
            return leased;
        }
        _ = timeout(Duration::from_millis(500), wakeups.changed()).await;
    }
    0
}

#[tokio::test]
async fn a_released_task_is_leased_again_at_once() {
    let beside = Beside::new().await;
    beside.store("q", 2..3).await;
    let leases = beside.leases(1).await;
    beside.put_back_in_time().await;
    assert_eq!(beside.leases(10).await, []);
    beside.settle(vec![Settlement::new(leases[0], Verdict::Release)]).await;
    assert_eq!(beside.leases(10).await.len(), 1);
}

#[tokio::test]
async fn a_task_that_is_retried_without_a_pause_is_leased_at_once() {
    let beside = Beside::new().await;
    beside.store("q", 2..3).await;
    let leases = beside.leases(1).await;
    let (error, after) = ("it failed".to_owned(), Some(Duration::ZERO));
    let verdict = Verdict::Retry { error, after, max_attempts: None };
    beside.settle(vec![Settlement::new(leases[0], verdict)]).await;
    assert_eq!(beside.leases(10).await.len(), 1);
}

#[tokio::test]
async fn a_dead_letter_that_is_replayed_is_leased_at_once() {
    let beside = Beside::new().await;
    beside.store("q", 2..3).await;
    let leases = beside.leases(1).await;
    beside.put_back_in_time().await;
    let verdict = Verdict::Permanent { error: "it failed".to_owned() };
    beside.settle(vec![Settlement::new(leases[0], verdict)]).await;
    assert_eq!(beside.leases(10).await, []);
    let replayed = beside.backend.replay(TaskRequest::new(Now::Storage, id(2))).await;
    replayed.expect("it is dead");
    assert_eq!(beside.leases(10).await.len(), 1);
}

#[tokio::test]
async fn a_delayed_task_that_is_run_now_is_leased_at_once() {
    let beside = Beside::new().await;
    beside.enqueue(vec![task("q", 2).with(|task| task.schedule = Schedule::After(HOUR))]).await;
    assert_eq!(beside.leases(10).await, []);
    let run = beside.backend.run_now(TaskRequest::new(Now::Storage, id(2))).await;
    run.expect("it waits");
    assert_eq!(beside.leases(10).await.len(), 1);
}

/// It keeps its place, among tasks that wait for no time.
#[tokio::test]
async fn a_task_that_is_long_due_and_run_now_is_leased_at_once() {
    let beside = Beside::new().await;
    beside.backend.set_paused(queue("q"), true).await.expect("it is paused");
    let short = Schedule::After(Duration::from_micros(1));
    beside.enqueue(vec![task("q", 2).with(|task| task.schedule = short)]).await;
    beside.put_back_in_time().await;
    let run = beside.backend.run_now(TaskRequest::new(Now::Storage, id(2))).await;
    run.expect("it waits");
    beside.backend.set_paused(queue("q"), false).await.expect("it is resumed");
    assert_eq!(beside.leases(10).await.len(), 1);
}

#[tokio::test]
async fn a_task_whose_worker_is_gone_is_leased_after_the_sweep_that_finds_that() {
    let beside = Beside::new().await;
    beside.store("q", 2..3).await;
    assert_eq!(beside.leases(1).await.len(), 1);
    assert_eq!(beside.sweep().await.recovered, 1);
    let leased = beside.lease(10).await.tasks;
    assert_eq!(leased.iter().map(|task| task.standing).collect::<Vec<_>>(), [Standing::Marked]);
}

#[tokio::test]
async fn a_task_of_a_new_queue_is_leased_at_once() {
    let beside = Beside::new().await;
    beside.store("fresh", 2..3).await;
    let leased = beside.backend.lease(leasing(["q", "fresh"], 10)).await;
    assert_eq!(leased.expect("the server answers").tasks.len(), 1);
}

/// The first of them had their places long before the commit.
#[tokio::test(flavor = "multi_thread")]
async fn all_tasks_of_a_long_transaction_are_leased_once_it_commits() {
    const TASKS: u32 = 20_000;
    let beside = Beside::new().await;
    let backend = Arc::clone(&beside.backend);
    let tasks: Vec<_> = (1_000..1_000 + TASKS).map(|number| task("q", number)).collect();
    let storing = tokio::spawn(async move {
        backend.enqueue(Enqueue::new(Now::Storage, tasks)).await.expect("the server answers").len()
    });
    let mut leased = 0;
    // The floors follow the clock meanwhile.
    while !storing.is_finished() {
        leased += beside.leases(1_000).await.len();
    }
    assert_eq!(storing.await.expect("no panic"), TASKS as usize);
    loop {
        match beside.leases(1_000).await.len() {
            0 => break,
            more => leased += more,
        }
    }
    assert_eq!(leased, TASKS as usize);
}

/// Here by the notification of another program, which knows for how long its transaction was open.
#[tokio::test(flavor = "multi_thread")]
async fn a_task_of_an_applications_long_transaction_is_leased_once_it_commits() {
    let beside = Beside::new().await;
    let mut wakeups = listen(&beside).await;
    let client = Client::open(&beside.database.url()).await.expect("it opens");
    let mut connection = beside.database.connect().await.expect("the server answers");
    let mut tx = connection.begin().await.expect("it begins");
    late::defer().on(&client).in_tx(&mut tx).await.expect("it is stored");
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_millis(500) {
        assert_eq!(beside.leases(10).await, []);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    tx.commit().await.expect("it commits");
    assert_eq!(lease_woken(&beside, &mut wakeups).await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_that_another_process_releases_is_leased_at_once() {
    let beside = Beside::new().await;
    let mut wakeups = listen(&beside).await;
    beside.store("q", 2..3).await;
    let other = Postgres::open(&beside.database.url()).await.expect("it opens");
    let leased = other.lease(leasing(["q"], 1)).await.expect("the server answers").tasks;
    beside.put_back_in_time().await;
    assert_eq!(beside.leases(10).await, []);
    let released = Settlement::new(leased[0].lease, Verdict::Release);
    let settle = Settle::new(Now::Storage, vec![released]);
    other.settle(settle).await.expect("the server answers");
    assert_eq!(lease_woken(&beside, &mut wakeups).await, 1);
}

/// The task has got its place before the transaction waits.
#[tokio::test(flavor = "multi_thread")]
async fn the_task_of_a_tick_that_takes_long_is_leased_once_it_commits() {
    const SLOW: &str = "CREATE FUNCTION gae_tasks.slow() RETURNS trigger LANGUAGE plpgsql AS $$ \
                        BEGIN PERFORM pg_sleep(0.5); RETURN NULL; END $$; CREATE TRIGGER slow \
                        AFTER INSERT ON gae_tasks.waiting FOR EACH STATEMENT EXECUTE FUNCTION \
                        gae_tasks.slow()";
    let beside = Beside::new().await;
    let schedules = vec![NewSchedule::new("nightly", "0 3 * * *", vec![1])];
    let put = PutSchedules::new(Now::Storage, "shop", schedules);
    beside.backend.put_schedules(put).await.expect("the server answers");
    let stored = beside.backend.schedules(None).await.expect("the server answers");
    let mut made = TickMove::new(&stored[0], None);
    made.tasks = vec![task("q", 2)];
    beside.execute(SLOW).await;
    let backend = Arc::clone(&beside.backend);
    let ticking =
        tokio::spawn(async move { backend.tick(Tick::new(Now::Storage, vec![made])).await });
    let mut leased = 0;
    // The floors follow the clock meanwhile.
    while !ticking.is_finished() {
        leased += beside.leases(10).await.len();
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let answers = ticking.await.expect("no panic").expect("the server answers");
    assert!(matches!(answers[..], [Ok(true)]), "{answers:?}");
    assert_eq!(leased + beside.leases(10).await.len(), 1);
}
