//! Keys of unique tasks beside those who lease, settle and delete their tasks.

use gae_tasks::backend::postgres::Postgres;
use gae_tasks::backend::{Backend, Enqueue, NewTask, Pull, TaskRequest};
use gae_tasks::{Conflict, Deferred, Now, OnConflict, Reschedule, Schedule, UniqueKey};

use crate::stage::{Stage, done, end, id, leasing, task};

fn keyed(number: u32, rules: OnConflict) -> NewTask {
    task("q", number).with(|task| {
        task.spec.unique = Some(UniqueKey::new([7; 16], rules.over_finished));
        task.on_conflict = rules;
    })
}

fn rules(change: impl FnOnce(&mut OnConflict)) -> OnConflict {
    let mut rules = OnConflict::KEEP;
    change(&mut rules);
    rules
}

async fn offer(backend: &Postgres, task: NewTask) -> Deferred {
    let answers = backend.enqueue(Enqueue::new(Now::Storage, vec![task])).await;
    answers.expect("the server answers").remove(0).expect("it is answered")
}

#[tokio::test]
async fn of_four_clients_with_one_key_exactly_one_stores_its_task() {
    let stage = Stage::new().await;
    let mut clients = Vec::new();
    for _ in 0..4 {
        clients.push(Postgres::open(&stage.database.url()).await.expect("it opens"));
    }
    let offers = (0..40).map(|number| {
        offer(&clients[number % 4], {
            keyed(u32::try_from(number).expect("a small number") + 1, OnConflict::KEEP)
        })
    });
    let mut answers = Vec::new();
    let mut offers: Vec<_> = offers.map(Box::pin).collect();
    for round in offers.chunks_mut(4) {
        let [a, b, c, d] = round else { unreachable!("40 offers") };
        let (a, b, c, d) = tokio::join!(a, b, c, d);
        answers.extend([a, b, c, d]);
    }
    let created: Vec<_> = answers.iter().filter(|answer| answer.created).collect();
    assert_eq!(created.len(), 1, "{answers:?}");
    assert!(answers.iter().all(|answer| answer.id == created[0].id));
    assert_eq!([stage.count("task").await, stage.count("name").await], [1, 1]);
}

/// Each of them may change what the one before has stored.
#[tokio::test]
async fn the_tasks_of_one_key_in_a_request_are_stored_in_one_transaction() {
    const FULL: &str = "CREATE FUNCTION full_disk() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
                        IF NEW.payload = 'last'::bytea THEN RAISE 'full' USING ERRCODE = '53100'; \
                        END IF; RETURN NEW; END $$; CREATE TRIGGER full_disk BEFORE INSERT ON \
                        gae_tasks.task FOR EACH ROW EXECUTE FUNCTION full_disk()";
    let stage = Stage::new().await;
    stage.execute(FULL).await;
    let replacing = rules(|rules| rules.replaces_args = true);
    let three = |last: &[u8]| {
        let third = keyed(3, replacing).with(|task| task.payload = last.to_vec());
        Enqueue::new(Now::Storage, vec![keyed(1, replacing), keyed(2, replacing), third])
    };
    let failed = stage.backend.enqueue(three(b"last")).await;
    assert!(failed.is_err(), "{failed:?}");
    assert_eq!(stage.count("task").await, 0);
    let answers = stage.backend.enqueue(three(b"good")).await.expect("the server answers");
    let answers: Vec<_> = answers.into_iter().map(|answer| answer.expect("stored")).collect();
    let replaced = |number| Deferred::of_conflict(id(number), Conflict::Replaced);
    assert_eq!(answers, [Deferred::new(id(1), true), replaced(2), replaced(3)]);
    assert_eq!([stage.count("task").await, stage.count("waiting").await], [1, 1]);
}

/// A lease that was faster than the call is seen.
#[tokio::test]
async fn a_task_that_is_leased_meanwhile_is_not_replaced() {
    for behind in [false, true] {
        let stage = Stage::new().await;
        stage.enqueue(vec![keyed(1, OnConflict::KEEP)]).await;
        // Its row is locked until the lease is there.
        let other = stage.transaction("SELECT FROM gae_tasks.task FOR UPDATE").await;
        let replacing = rules(|rules| {
            (rules.replaces_args, rules.over_running) = (true, !behind);
        });
        let backend = stage.backend.clone();
        let call = tokio::spawn(async move { offer(&backend, keyed(2, replacing)).await });
        stage.blocked().await;
        let leases = stage.leases(1).await;
        end(other, "COMMIT").await;
        let answer = call.await.expect("the call answers");
        let expected = match behind {
            false => Deferred::of_conflict(id(1), Conflict::Running),
            true => Deferred::of_conflict(id(2), Conflict::Behind),
        };
        assert_eq!(answer, expected);
        stage.settle(vec![done(leases[0])]).await;
        assert_eq!(stage.count("task").await, i64::from(behind));
        assert_eq!(stage.count("name").await, i64::from(behind), "its key is that of the other");
    }
}

/// Callers and those who end tasks lock in one order.
#[tokio::test]
async fn a_task_that_is_deleted_meanwhile_is_followed_by_the_new_one() {
    let stage = Stage::new().await;
    stage.enqueue(vec![keyed(1, OnConflict::KEEP)]).await;
    let other = stage.transaction("SELECT FROM gae_tasks.task FOR UPDATE").await;
    let deleting = {
        let backend = stage.backend.clone();
        tokio::spawn(async move { backend.delete(TaskRequest::new(Now::Storage, id(1))).await })
    };
    stage.blocked().await;
    let rescheduling = rules(|rules| rules.reschedules = Reschedule::ToCall);
    let new = keyed(2, rescheduling).with(|task| task.schedule = Schedule::Now);
    let backend = stage.backend.clone();
    let call = tokio::spawn(async move { offer(&backend, new).await });
    end(other, "COMMIT").await;
    assert!(deleting.await.expect("it answers").expect("the server answers"));
    let answer = call.await.expect("the call answers");
    let is_new = answer == Deferred::new(id(2), true);
    assert!(is_new || answer.conflict.is_some(), "{answer:?}");
    let next = offer(&stage.backend, keyed(3, OnConflict::KEEP)).await;
    assert_eq!(next.created, !is_new);
    assert_eq!([stage.count("task").await, stage.count("waiting").await], [1, 1]);
    assert_eq!(stage.backend.lease(leasing(["q"], 9)).await.expect("it leases").tasks.len(), 1);
}
