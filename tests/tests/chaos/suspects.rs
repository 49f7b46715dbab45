//! Suspects: tasks whose worker was killed twice while they ran. The task that kills is found, and
//! the others do not wait for it.

use std::time::{Duration, Instant};

use gae_tasks::backend::TaskFilter;
use gae_tasks::{TaskId, TaskState};
use gae_tasks_tests::chaos::{Then, obey};

use super::stage::{Orders, SECOND, Stage, TOLERANCE, length, until};

/// Defers tasks that wait for these orders.
async fn defer(stage: &Stage, orders: &Orders, count: usize) -> Vec<TaskId> {
    let deferred =
        stage.tasks.defer_many((0..count).map(|_| obey::defer(orders.file()))).await.unwrap();
    deferred.into_iter().map(|deferred| deferred.id).collect()
}

/// Kills two workers while all the tasks run.
async fn make_suspects(stage: &Stage, tasks: &[TaskId]) {
    for times in 1..=2 {
        let mut worker = stage.worker().concurrency(tasks.len()).start();
        stage.until_begun(tasks, times * tasks.len()).await;
        worker.kill();
    }
}

#[tokio::test]
async fn one_task_that_kills_among_many_innocent_suspects_dies_alone() {
    let stage = Stage::new().await;
    let (innocent, guilty) = (stage.orders("innocent"), stage.orders("guilty"));
    let mut tasks = defer(&stage, &innocent, 100).await;
    let killer = defer(&stage, &guilty, 1).await[0];
    tasks.push(killer);
    tasks.extend(defer(&stage, &innocent, 100).await);
    make_suspects(&stage, &tasks).await;
    innocent.give(Duration::from_millis(50), Then::Done);
    guilty.give(2 * SECOND, Then::Die);

    let (begun, mut deaths) = (Instant::now(), 0);
    let mut worker = stage.worker().start();
    while stage.tasks.stats().await.unwrap().open() > 0 {
        assert!(begun.elapsed() < 90 * SECOND, "{:?}", stage.tasks.stats().await.unwrap());
        if worker.ended().is_some() {
            worker.note_death();
            deaths += 1;
            worker = stage.worker().start();
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    println!("{deaths} workers killed, {:.1?}", begun.elapsed());
    let dead = stage.tasks.list(TaskFilter::new().state(TaskState::Dead), None, 10).await.unwrap();
    assert_eq!(dead.iter().map(|record| record.spec.id).collect::<Vec<_>>(), [killer]);
    let history = stage.history();
    let done = tasks.iter().filter(|task| **task != killer && history.over(**task).0 == 1).count();
    assert_eq!(done, 200, "innocent tasks done");
    assert!(deaths <= 12, "{deaths} workers were killed");
    history.assert_nothing_ran_beside_itself();
}

#[tokio::test]
async fn suspects_that_do_nothing_take_no_time() {
    let stage = Stage::new().await;
    let orders = stage.orders("orders");
    let tasks = defer(&stage, &orders, 50).await;
    make_suspects(&stage, &tasks).await;
    orders.done();
    let begun = Instant::now();
    let _worker = stage.worker().start();
    stage.until_open(0, 40 * SECOND).await;
    let took = begun.elapsed();
    println!("50 no-op suspects: {took:.1?}");
    assert!(took < 2 * SECOND + TOLERANCE, "{took:?}");
}

#[tokio::test]
async fn two_hard_kills_make_nothing_serial() {
    let stage = Stage::new().await;
    let orders = stage.orders("orders");
    orders.give(2 * SECOND, Then::Done);
    let tasks = defer(&stage, &orders, 50).await;
    make_suspects(&stage, &tasks).await;
    let begun = Instant::now();
    let _worker = stage.worker().start();
    let limit = length(25, 120);
    let what = format!("the end of 50 tasks of 2 s within {limit:?}");
    until(&what, limit, async || stage.tasks.stats().await.unwrap().open() == 0).await;
    println!("50 tasks of 2 s after two kills: {:.1?}", begun.elapsed());
    assert!(begun.elapsed() < 25 * SECOND, "{:?}", begun.elapsed());
    assert_eq!(stage.dead().await, 0);
}
