//! Rules of a database that refuse some tasks.

use std::sync::Arc;

use gae_tasks::backend::postgres::Postgres;
use gae_tasks::backend::{Backend, NewSchedule, NewTask, Pull, PutSchedules, Tick, TickMove};
use gae_tasks::{Now, Timestamp};
use gae_tasks_tests_postgres::{Cluster, Database};
use tokio::task::JoinSet;

use crate::tasks::{named, store, store_one, stored, task, text};

const CHECK: &str = "ALTER TABLE gae_tasks.task ADD CHECK (octet_length(payload) < 10)";

/// A rule that is checked when a transaction ends.
const AT_THE_END: &str = "CREATE FUNCTION check_it() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
                          IF octet_length(NEW.payload) >= 10 THEN RAISE 'too long'; END IF; RETURN \
                          NULL; END $$; CREATE CONSTRAINT TRIGGER small AFTER INSERT ON \
                          gae_tasks.task DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE \
                          FUNCTION check_it()";

async fn with_rule(rule: &str) -> (Postgres, Database) {
    let database = Cluster::shared().await.database().await;
    let backend = Postgres::open(&database.url()).await.expect("it opens");
    database.execute(rule).await.expect("the rule is made");
    (backend, database)
}

fn bad(task: NewTask) -> NewTask {
    task.with(|task| task.payload = b"secret secret".to_vec())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_task_spares_its_neighbours() {
    for rule in [CHECK, AT_THE_END] {
        let (backend, database) = with_rule(rule).await;
        for tasks in [
            vec![task(), bad(task()), task()],
            vec![named("a"), bad(named("b")), named("c"), task()],
        ] {
            let before = stored(&database).await;
            let good = tasks.len() as i64 - 1;
            let id = tasks[1].spec.id;
            let answers = store(&backend, tasks).await.expect("the server answers");
            let refused = text(answers[1].as_ref().expect_err("the rule is against it"));
            assert!(refused.contains(&format!("refuses the task {id}")), "{refused}");
            assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count() as i64, good);
            assert_eq!(stored(&database).await, before + good);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_of_many_is_found() {
    let (backend, database) = with_rule(CHECK).await;
    let tasks = (0..2_000).map(|place| if place == 1_234 { bad(task()) } else { task() });
    let answers = store(&backend, tasks.collect()).await.expect("the server answers");
    let refused: Vec<_> = (0..2_000).filter(|place| answers[*place].is_err()).collect();
    assert_eq!(refused, [1_234]);
    assert_eq!(stored(&database).await, 1_999);
}

#[tokio::test(flavor = "multi_thread")]
async fn callers_that_share_a_transaction_are_answered_for_their_own_tasks() {
    let (backend, database) = with_rule(CHECK).await;
    let (backend, mut callers) = (Arc::new(backend), JoinSet::new());
    for place in 0..50 {
        let backend = Arc::clone(&backend);
        callers.spawn(async move {
            let is_bad = place % 10 == 3;
            let task = if is_bad { bad(task()) } else { task() };
            let id = task.spec.id;
            match store_one(&*backend, task).await {
                Ok(answer) => assert!(!is_bad && answer.id == id),
                Err(error) => assert!(is_bad && text(&error).contains(&id.to_string()), "{error}"),
            }
        });
    }
    callers.join_all().await;
    assert_eq!(stored(&database).await, 45);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_tick_fails_alone_and_leaves_its_schedule() {
    for rule in [CHECK, AT_THE_END] {
        let (backend, database) = with_rule(rule).await;
        let schedules = ["a", "b", "c"].map(|name| NewSchedule::new(name, "x", vec![1])).into();
        let request = PutSchedules::new(Now::Storage, "shop", schedules);
        backend.put_schedules(request).await.expect("they are stored");
        let read = backend.schedules(None).await.expect("the server answers");
        let tick = Timestamp::from_micros(1);
        let tasks = [[named("a"), task()], [named("b"), bad(task())], [named("c"), task()]];
        let moves = read.iter().zip(tasks).map(|(schedule, tasks)| {
            let mut made = TickMove::new(schedule, Some(tick));
            (made.last_tick, made.tasks) = (Some(tick), tasks.into());
            made
        });
        let request = Tick::new(Now::Storage, moves.collect());
        let answers = backend.tick(request).await.expect("the server answers");
        let refused = text(answers[1].as_ref().expect_err("the rule is against it"));
        assert!(refused.contains("refuses the tasks of the schedule `b` of `shop`"), "{refused}");
        assert!(matches!((&answers[0], &answers[2]), (Ok(true), Ok(true))), "{answers:?}");
        let ticked = backend.schedules(None).await.expect("the server answers").into_iter();
        let ticked: Vec<_> = ticked.map(|schedule| schedule.last_tick).collect();
        assert_eq!(ticked, [Some(tick), None, Some(tick)]);
        assert_eq!(stored(&database).await, 4, "nothing of the refused move is left");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_task_leaves_its_name_free() {
    let (backend, _database) = with_rule(CHECK).await;
    store_one(&backend, bad(named("n"))).await.expect_err("the rule is against it");
    assert!(store_one(&backend, named("n")).await.expect("it is stored").created);
}
