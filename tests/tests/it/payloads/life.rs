//! A payload lives as long as its task, or as its dead letter.

use gae_tasks::backend::{Backend, Enqueue, NewTask, TaskState};
use gae_tasks::{Now, TaskId, testing::ManualClock};

use super::shelf::{DAY, World, fails, key, program, takes, text};

/// Creates a dead letter with a payload in the store.
async fn bury(world: &World) -> TaskId {
    let id = fails::defer(text(1000)).max_attempts(1).on(&world.tasks).await.unwrap().id;
    assert!(world.tasks.drain().await.is_err());
    assert_eq!(world.tasks.get(id).await.unwrap().unwrap().state, TaskState::Dead);
    id
}

#[tokio::test]
async fn a_payload_stays_through_failures_and_goes_with_success() {
    for world in World::on_each().await {
        let failing = fails::defer(text(1000)).on(&world.tasks).await.unwrap().id;
        for attempt in 1..=3 {
            assert!(world.tasks.drain().await.is_err());
            assert_eq!(
                (world.ran.lengths().len(), world.shelf.keys()),
                (attempt, vec![key(failing)])
            );
            world.clock.advance(DAY / 24);
        }
        world.tasks.delete(failing).await.unwrap();
        world.spill().await;
        assert_eq!((world.tasks.drain().await.unwrap(), world.shelf.len()), (1, 0));
    }
}

#[tokio::test]
async fn a_dead_letter_keeps_its_payload_and_is_replayed_with_it() {
    for world in World::on_each().await {
        let id = bury(&world).await;
        assert_eq!(world.shelf.keys(), [key(id)]);
        world.tasks.replay(id).await.unwrap();
        assert!(world.tasks.drain().await.is_err());
        assert_eq!((world.ran.lengths(), world.shelf.len()), (vec![1000, 1000], 1));
    }
}

#[tokio::test]
async fn a_deleted_task_takes_its_payload_along_in_whatever_state() {
    for world in World::on_each().await {
        let (dead, waits) = (bury(&world).await, world.spill().await);
        takes::defer("x").on(&world.tasks).await.unwrap();
        assert_eq!(world.shelf.len(), 2);
        for (id, left) in [(waits, 1), (dead, 0)] {
            assert!(world.tasks.delete(id).await.unwrap());
            assert_eq!(world.shelf.len(), left);
            assert!(!world.tasks.delete(id).await.unwrap());
        }
    }
}

#[tokio::test]
async fn a_purged_queue_takes_its_payloads_along_but_not_those_of_dead_letters() {
    for world in World::on_each().await {
        let dead = bury(&world).await;
        for _ in 0..3 {
            world.spill().await;
        }
        takes::defer("x").on(&world.tasks).await.unwrap();
        let elsewhere =
            takes::defer(text(1000)).queue("elsewhere").on(&world.tasks).await.unwrap().id;
        assert_eq!(world.tasks.purge("default").await.unwrap().deleted, 4);
        assert_eq!(world.shelf.keys(), [dead, elsewhere].map(key));
    }
}

#[tokio::test]
async fn a_dead_letter_that_is_too_old_takes_its_payload_along() {
    for world in World::on_each().await {
        let dead = bury(&world).await;
        world.clock.advance(DAY * 29);
        world.spill().await;
        world
            .work_until(|world| world.ran.lengths() == [1000, 1000] && world.shelf.len() == 1)
            .await;
        assert_eq!(world.shelf.keys(), [key(dead)], "the dead letter is young enough");
        world.clock.advance(DAY);
        world.work_until(|world| world.shelf.len() == 0).await;
        assert!(world.tasks.get(dead).await.unwrap().is_none());
    }
}

#[tokio::test]
async fn a_task_whose_payload_is_missing_is_a_dead_letter_that_names_key_and_store() {
    // A payload is deleted after its task is recorded as done, so a missing payload does not show
    // an earlier attempt.
    for world in World::on_each().await {
        let id = world.spill().await;
        let kept = std::mem::take(&mut *world.shelf.kept());
        assert!(world.tasks.drain().await.is_err());
        let record = world.tasks.get(id).await.unwrap().unwrap();
        let error = &record.errors[0].message;
        assert_eq!((world.ran.lengths().len(), record.state), (0, TaskState::Dead), "{error}");
        assert!(
            error.contains(&key(id)) && error.contains("`shelf`") && error.contains("missing"),
            "{error}"
        );
        *world.shelf.kept() = kept;
        world.tasks.replay(id).await.unwrap();
        assert_eq!((world.tasks.drain().await.unwrap(), world.ran.lengths()), (1, vec![1000]));
    }
}

#[tokio::test]
async fn a_task_that_names_another_tasks_payload_is_refused_and_deletes_nothing() {
    let (world, backend) = World::faulty();
    let victim = world.spill().await;
    let mut spec = backend.get(victim).await.unwrap().unwrap().spec;
    spec.id = TaskId::from_bytes([5; 16]);
    let now = Now::At(world.clock.time());
    backend
        .enqueue(Enqueue::new(now, vec![NewTask::new(spec.clone(), Vec::new(), [])]))
        .await
        .unwrap();
    assert!(world.tasks.drain().await.is_err());
    let error = world.last_error(spec.id).await;
    assert!(error.contains("belongs to another task"), "{error}");
    assert_eq!(world.ran.lengths(), [1000], "only the victim ran");
    assert!(world.tasks.delete(spec.id).await.unwrap());
    let mut again = spec.clone();
    let kept = world.spill().await;
    again.attributes = backend.get(kept).await.unwrap().unwrap().spec.attributes;
    backend.enqueue(Enqueue::new(now, vec![NewTask::new(again, Vec::new(), [])])).await.unwrap();
    assert!(world.tasks.delete(spec.id).await.unwrap());
    assert_eq!(world.shelf.keys(), [key(kept)]);
}

#[tokio::test]
async fn a_client_without_the_store_runs_nothing_and_loses_nothing() {
    let (world, backend) = World::faulty();
    let id = world.spill().await;
    let builder = || program(&world.ran).clock(world.clock.clone());
    let other = super::shelf::Shelf::new("another shelf", &ManualClock::new());
    for (client, parts) in [
        (builder().build(backend.clone()), ["`shelf`", "add `.payload_store(..)`"]),
        (builder().payload_store(other).build(backend.clone()), ["`shelf`", "`another shelf`"]),
    ] {
        assert!(client.unwrap().drain().await.is_err());
        let error = world.last_error(id).await;
        assert!(parts.iter().all(|part| error.contains(part)), "{error}");
        world.clock.advance(DAY);
    }
    assert_eq!((world.ran.lengths().len(), world.shelf.len()), (0, 1));
    assert_eq!(world.tasks.drain().await.unwrap(), 1);
    assert_eq!((world.ran.lengths(), world.shelf.len()), (vec![1000], 0));
}
