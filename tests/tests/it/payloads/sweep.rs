//! Sweeping payloads: only payloads that no task needs are deleted.

use std::time::Duration;

use gae_tasks::backend::memory::Memory;
use gae_tasks::testing::{Fault, Operation};
use gae_tasks::{Client, Error, TaskId};

use super::shelf::{DAY, Trouble, World, fails, key, text};

/// Stores a payload without a task, and returns its key.
async fn orphan(world: &World) -> String {
    let id = world.spill().await;
    let payload = world.shelf.kept().get(&key(id)).cloned().unwrap();
    world.tasks.delete(id).await.unwrap();
    world.shelf.kept().insert(key(id), payload);
    key(id)
}

#[tokio::test]
async fn only_what_is_older_and_needed_by_no_task_is_swept() {
    for world in World::on_each().await {
        let dead = fails::defer(text(1000)).max_attempts(1).on(&world.tasks).await.unwrap().id;
        assert!(world.tasks.drain().await.is_err());
        let (waits, _old) = (world.spill().await, orphan(&world).await);
        world.clock.advance(DAY);
        let young = orphan(&world).await;
        world.clock.advance(Duration::from_secs(1));
        assert_eq!(world.tasks.sweep_payloads(DAY).await.unwrap(), 1);
        let mut left = vec![key(dead), key(waits), young];
        left.sort();
        assert_eq!(world.shelf.keys(), left);
        assert_eq!(world.tasks.sweep_payloads(DAY).await.unwrap(), 0);
    }
}

#[tokio::test]
async fn a_payload_whose_task_is_about_to_be_stored_is_left_alone() {
    // Whatever the given age: a caller may be slow between storing the payload and the task.
    for world in World::on_each().await {
        orphan(&world).await;
        world.clock.advance(Duration::from_secs(59 * 60));
        assert_eq!(world.tasks.sweep_payloads(Duration::ZERO).await.unwrap(), 0);
        world.clock.advance(Duration::from_secs(61));
        assert_eq!(world.tasks.sweep_payloads(Duration::ZERO).await.unwrap(), 1);
    }
}

#[tokio::test]
async fn what_others_put_beside_is_left_alone() {
    for world in World::on_each().await {
        let put = (b"mine".to_vec(), world.clock.time());
        let other = TaskId::from_bytes([9; 16]).to_string();
        let names = [
            "notes.txt",
            "",
            &other.to_uppercase().replace('0', "A"),
            &other,
            &format!("{other}.json"),
            ".gae-tasks",
        ];
        for key in names {
            world.shelf.kept().insert(key.to_owned(), put.clone());
        }
        world.clock.advance(DAY * 2);
        assert_eq!(world.tasks.sweep_payloads(DAY).await.unwrap(), 0);
        assert_eq!(world.shelf.len(), names.len());
    }
}

#[tokio::test]
async fn a_marker_of_a_pushed_task_is_swept_when_no_delivery_can_come() {
    for world in World::on_each().await {
        let marked = orphan(&world).await;
        let text = format!("gae-tasks: done: {marked}\n").into_bytes();
        world.shelf.kept().insert(marked, (text, world.clock.time()));
        orphan(&world).await;
        world.clock.advance(DAY * 32);
        assert_eq!(world.tasks.sweep_payloads(DAY).await.unwrap(), 1, "the payload without a task");
        assert_eq!(world.tasks.sweep_payloads(DAY).await.unwrap(), 0);
        world.clock.advance(Duration::from_secs(1));
        assert_eq!((world.tasks.sweep_payloads(DAY).await.unwrap(), world.shelf.len()), (1, 0));
    }
}

#[tokio::test]
async fn payloads_of_tasks_that_another_client_keeps_are_swept_by_neither() {
    let (world, _) = World::faulty();
    let builder = Client::builder()
        .clock(world.clock.clone())
        .payload_store(world.shelf.clone())
        .inline_payload(100);
    let letters = builder.build(Memory::new()).unwrap();
    let (here, there) =
        (world.spill().await, fails::defer(text(500)).on(&letters).await.unwrap().id);
    orphan(&world).await;
    world.clock.advance(DAY * 2);
    assert_eq!(world.tasks.sweep_payloads(DAY).beside(&letters).await.unwrap(), 1);
    assert_eq!(letters.sweep_payloads(DAY).beside(&world.tasks).await.unwrap(), 0);
    assert_eq!(world.shelf.keys(), [here, there].map(key));
}

#[tokio::test]
async fn a_sweep_that_cannot_ask_deletes_nothing() {
    let (world, backend) = World::faulty();
    orphan(&world).await;
    world.spill().await;
    world.clock.advance(DAY * 2);
    let backend = backend.with(Operation::Get, 2, Fault::Fail);
    assert!(matches!(world.tasks.sweep_payloads(DAY).await, Err(Error::Storage { .. })));
    assert_eq!(backend.calls(Operation::Get), 3, "once when the orphan was created");
    world.shelf.have(Trouble::Down);
    let error = world.tasks.sweep_payloads(DAY).await.unwrap_err();
    assert!(
        matches!(error, Error::PayloadStore { .. }) && error.to_string().contains("`shelf`"),
        "{error}"
    );
    world.shelf.have(Trouble::None);
    assert_eq!((world.shelf.len(), world.tasks.sweep_payloads(DAY).await.unwrap()), (2, 1));
    let none = Client::open("memory:").await.unwrap().sweep_payloads(DAY).await;
    assert!(none.unwrap_err().to_string().contains("`.payload_store(..)`"));
}
