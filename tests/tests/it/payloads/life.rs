//! A payload lives as long as its task, or as its dead letter.

use gae_tasks::backend::TaskState;
use gae_tasks::{TaskId, testing::ManualClock};

use super::shelf::{DAY, World, fails, program, takes, text};

/// A dead letter with a payload in the store.
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
            assert_eq!((world.ran.lengths().len(), world.shelf.keys()), (attempt, vec![failing.to_string()]));
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
        assert_eq!(world.shelf.keys(), [id.to_string()]);
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
        let elsewhere = takes::defer(text(1000)).queue("elsewhere").on(&world.tasks).await.unwrap().id;
        assert_eq!(world.tasks.purge("default").await.unwrap().deleted, 4);
        assert_eq!(world.shelf.keys(), [dead, elsewhere].map(|id| id.to_string()));
    }
}

#[tokio::test]
async fn a_dead_letter_that_is_too_old_takes_its_payload_along() {
    for world in World::on_each().await {
        let dead = bury(&world).await;
        world.clock.advance(DAY * 29);
        world.spill().await;
        world.work_until(|world| world.ran.lengths() == [1000, 1000] && world.shelf.len() == 1).await;
        assert_eq!(world.shelf.keys(), [dead.to_string()], "it is young enough");
        world.clock.advance(DAY);
        world.work_until(|world| world.shelf.len() == 0).await;
        assert!(world.tasks.get(dead).await.unwrap().is_none());
    }
}

#[tokio::test]
async fn a_task_whose_answer_was_lost_is_not_run_again() {
    // The first worker ran it, deleted its payload, and died before it could say so.
    for world in World::on_each().await {
        let id = world.spill().await;
        world.shelf.kept().clear();
        assert_eq!(world.tasks.drain().await.unwrap(), 1);
        assert_eq!((world.ran.lengths().len(), world.tasks.get(id).await.unwrap()), (0, None));
    }
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
