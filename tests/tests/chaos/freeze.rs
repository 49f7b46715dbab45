//! Processes that are stopped for longer than their leases, and then resume.

use std::time::Duration;

use gae_tasks::TaskState;
use gae_tasks_tests::chaos::{Sign, Then, obey};

use super::stage::{Dice, Process, SECOND, Stage, TOLERANCE, length, now, signal_all};

#[tokio::test]
async fn a_stopped_worker_loses_its_tasks_and_whatever_it_says_later_changes_nothing() {
    let stage = Stage::new().await;
    let (long, short) = (stage.orders("long"), stage.orders("short"));
    let long_task = obey::defer(long.file()).on(&stage.tasks).await.unwrap().id;
    let short_task = obey::defer(short.file()).on(&stage.tasks).await.unwrap().id;
    let both = [long_task, short_task];
    let stopped = stage.worker().lease(1.0).start();
    stage.until_begun(&both, 2).await;
    let other = stage.worker().lease(1.0).start();
    stopped.signal("-STOP");
    let since = now();
    // Only the stopped worker gets this order, and reads it when it resumes.
    short.give_one(&stopped, Duration::ZERO, Then::FailForGood);
    stage.until_begun(&both, 4).await;
    for task in both {
        let second = stage.history().of(task)[1];
        let after = second.begun.saturating_sub(since);
        println!("taken over after {after:?}");
        assert_eq!(second.process, other.id());
        assert!(after < 3 * SECOND + TOLERANCE, "more than two leases and a second: {after:?}");
    }
    let records =
        [stage.tasks.get(long_task).await.unwrap(), stage.tasks.get(short_task).await.unwrap()];

    stopped.signal("-CONT");
    let first_is_over = |task| stage.history().of(task)[0].over;
    super::stage::until("the end of the stopped attempts", SECOND + TOLERANCE, async || {
        both.iter().all(|task| first_is_over(*task).is_some())
    })
    .await;
    let (sign, _) = first_is_over(long_task).unwrap();
    assert_eq!(sign, Sign::Stopped, "another worker holds the lease");
    // Time in which the stopped worker could wrongly record an outcome.
    tokio::time::sleep(SECOND).await;
    assert_eq!(
        [stage.tasks.get(long_task).await.unwrap(), stage.tasks.get(short_task).await.unwrap()],
        records
    );
    assert!(
        records.iter().flatten().all(|record| record.state == TaskState::Leased),
        "{records:?}"
    );
    [long, short].iter().for_each(|orders| orders.done());
    stage.until_open(0, 5 * SECOND).await;
    assert_eq!(stage.dead().await, 0);
    assert!(both.iter().all(|task| stage.history().begun(*task) == 2), "{:?}", stage.history());
}

#[tokio::test]
async fn processes_that_are_all_stopped_for_longer_than_their_leases_lose_nothing() {
    let stage = Stage::new().await;
    let orders = stage.orders("orders");
    let mut workers = Vec::new();
    let mut tasks = Vec::new();
    for lease in [1.0, 1.0, 1.2, 2.0] {
        let tasks_of_it: Vec<_> = (0..3).map(|_| obey::defer(orders.file())).collect();
        let added = stage.tasks.defer_many(tasks_of_it).await.unwrap();
        tasks.extend(added.into_iter().map(|deferred| deferred.id));
        // The other workers have room for three tasks and are full.
        workers.push(stage.worker().lease(lease).concurrency(3).start());
        stage.until_begun(&tasks, tasks.len()).await;
    }
    // A worker with room, which would take over tasks that seem lost.
    workers.extend([1.0, 30.0].map(|lease| stage.worker().lease(lease).start()));
    let mut dice = Dice::new();
    for round in 0..4 {
        tokio::time::sleep(dice.millis(300..1_000)).await;
        signal_all("-STOP", &workers);
        let freeze = if round == 0 { length(3, 60) } else { Duration::from_millis(1_500) };
        tokio::time::sleep(freeze).await;
        signal_all("-CONT", shuffled(&workers, &mut dice));
    }
    tokio::time::sleep(3 * SECOND).await;
    let history = stage.history();
    let again = tasks.iter().filter(|task| history.begun(**task) > 1).count();
    assert_eq!(again, 0, "{again} of {} live leases were taken", tasks.len());
    orders.done();
    stage.until_open(0, 5 * SECOND).await;
    let history = stage.history();
    assert!(
        tasks.iter().all(|task| (history.begun(*task), history.over(*task)) == (1, (1, 0))),
        "{history:?}"
    );
}

fn shuffled<'a>(workers: &'a [Process], dice: &mut Dice) -> Vec<&'a Process> {
    let mut shuffled: Vec<_> = workers.iter().collect();
    (1..shuffled.len()).for_each(|last| shuffled.swap(last, dice.below(last + 1)));
    shuffled
}
