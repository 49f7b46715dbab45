//! Stores that fail, hang, lose payloads, or return other bytes.

use std::time::Duration;

use gae_tasks::Error;
use gae_tasks::backend::TaskState;

use super::shelf::{DAY, Trouble, World, fails, key, takes, text};

#[tokio::test]
async fn an_attempt_without_its_payload_fails_and_is_made_again() {
    for world in World::on_each().await {
        let id = world.spill().await;
        world.shelf.have(Trouble::Down);
        assert!(matches!(world.tasks.drain().await, Err(Error::TaskFailed { .. })));
        let error = world.last_error(id).await;
        assert!(error.contains("`shelf`") && error.contains("the shelf is down"), "{error}");
        assert_eq!(world.tasks.get(id).await.unwrap().unwrap().attempts, 1);
        world.shelf.have(Trouble::None);
        world.clock.advance(DAY);
        assert_eq!(world.tasks.drain().await.unwrap(), 1);
        assert_eq!((world.ran.lengths(), world.shelf.len()), (vec![1000], 0));
    }
}

#[tokio::test]
async fn what_was_changed_or_cut_off_is_never_run() {
    for world in World::on_each().await {
        type Harm = fn(&mut Vec<u8>);
        let harms: [Harm; 4] = [
            |it| it.truncate(500),
            |it| it.clear(),
            |it| it.push(b'x'),
            |it| *it.last_mut().unwrap() = b'y',
        ];
        for harm in harms {
            let id = takes::defer(text(1000)).max_attempts(1).on(&world.tasks).await.unwrap().id;
            harm(&mut world.shelf.kept().get_mut(&key(id)).unwrap().0);
            assert!(world.tasks.drain().await.is_err());
            let error = world.last_error(id).await;
            assert!(
                error.contains("truncated or changed") && error.contains(&id.to_string()),
                "{error}"
            );
            assert_eq!(
                world.tasks.get(id).await.unwrap().unwrap().state,
                TaskState::Dead,
                "the payload is kept for inspection"
            );
        }
        assert_eq!((world.ran.lengths().len(), world.shelf.len()), (0, 4));
    }
}

#[tokio::test]
async fn a_store_that_loses_what_it_took_runs_nothing() {
    for world in World::on_each().await {
        world.shelf.have(Trouble::LosesWrites);
        let id = world.spill().await;
        assert!(world.tasks.drain().await.is_err());
        assert_eq!((world.ran.lengths().len(), world.tasks.stats().await.unwrap().open()), (0, 0));
        assert_eq!(world.tasks.get(id).await.unwrap().unwrap().state, TaskState::Dead);
    }
}

#[tokio::test]
async fn loading_is_a_part_of_the_deadline() {
    let (world, _) = World::faulty();
    let call = takes::defer(text(1000)).deadline(Duration::from_secs(9));
    let id = call.on(&world.tasks).await.unwrap().id;
    world.shelf.have(Trouble::Hangs);
    let mut attempt = std::pin::pin!(world.tasks.drain());
    while world.clock.sleepers() == 0 {
        assert!(!is_ready(attempt.as_mut()).await, "the store has not answered");
    }
    world.clock.advance(Duration::from_millis(8999));
    assert!(!is_ready(attempt.as_mut()).await, "the deadline is not over");
    world.clock.advance(Duration::from_millis(1));
    assert!(attempt.await.is_err());
    let error = world.last_error(id).await;
    assert!(error.contains("longer than its deadline of 9 s"), "{error}");
}

#[tokio::test]
async fn a_payload_whose_deletion_hangs_keeps_no_task_from_being_done() {
    let (world, _) = World::faulty();
    let id = world.spill().await;
    world.shelf.have(Trouble::HangsAtDelete);
    // The worker does not even wait for the time limit of deleting, because the clock stands still.
    assert_eq!(world.tasks.drain().await.unwrap(), 1);
    assert_eq!((world.ran.lengths(), world.clock.sleepers()), (vec![1000], 1));
    world.clock.advance(Duration::from_secs(5));
    while world.clock.sleepers() > 0 {
        tokio::task::yield_now().await;
    }
    assert!(world.tasks.get(id).await.unwrap().is_none());
    assert_eq!(world.shelf.len(), 1, "the payload is left to a sweep");
}

/// Whether the future is ready after one poll.
async fn is_ready(future: std::pin::Pin<&mut impl Future>) -> bool {
    let mut future = future;
    std::future::poll_fn(|cx| std::task::Poll::Ready(future.as_mut().poll(cx).is_ready())).await
}

#[tokio::test]
async fn a_payload_that_cannot_be_deleted_keeps_no_task_from_being_done() {
    for world in World::on_each().await {
        let id = world.spill().await;
        world.shelf.have(Trouble::KeepsAll);
        assert_eq!(world.tasks.drain().await.unwrap(), 1);
        assert_eq!((world.tasks.get(id).await.unwrap(), world.shelf.len()), (None, 1));
        let waits = world.spill().await;
        assert!(world.tasks.delete(waits).await.unwrap());
        world.shelf.have(Trouble::None);
        world.clock.advance(DAY * 2);
        assert_eq!(world.tasks.sweep_payloads(DAY).await.unwrap(), 2);
    }
}

#[tokio::test]
async fn a_broken_store_ends_no_worker() {
    for world in World::on_each().await {
        let id = world.spill().await;
        world.shelf.have(Trouble::Panics);
        assert!(world.tasks.drain().await.is_err());
        assert!(world.last_error(id).await.contains("panicked"));
        world.shelf.have(Trouble::None);
        world.clock.advance(DAY);
        fails::defer("x").max_attempts(1).on(&world.tasks).await.unwrap();
        world.work_until(|world| world.shelf.len() == 0 && world.ran.lengths().len() == 2).await;
    }
}

#[tokio::test]
async fn a_store_that_panics_or_hangs_fails_or_delays_its_call_only() {
    let (world, _) = World::faulty();
    world.shelf.have(Trouble::Panics);
    let error = takes::defer(text(1000)).on(&world.tasks).await.unwrap_err();
    assert!(matches!(error, Error::PayloadStore { .. }), "{error:?}");
    world.shelf.have(Trouble::None);
    let id = world.spill().await;
    world.shelf.have(Trouble::HangsAtDelete);
    for delete in [true, false] {
        let mut call = std::pin::pin!(async {
            if delete {
                world.tasks.delete(id).await.map(drop)
            } else {
                world.tasks.purge("default").await.map(drop)
            }
        });
        assert!(!is_ready(call.as_mut()).await);
        world.clock.advance(Duration::from_secs(5));
        call.await.unwrap();
        world.spill().await;
    }
    assert_eq!(world.shelf.len(), 3, "the payloads are left to a sweep");
}

/// Outcomes of other tasks are recorded meanwhile, and the worker ends in time.
#[tokio::test]
async fn a_deletion_that_hangs_keeps_no_other_task_leased() {
    let (world, _) = World::faulty();
    world.spill().await;
    world.tasks.defer_many((1..=5).map(|bytes| takes::defer(text(bytes)))).await.unwrap();
    world.shelf.have(Trouble::HangsAtDelete);
    // The clock stands still, so a worker that waited for the store would not end.
    world.work_until(|world| world.ran.lengths().len() == 6).await;
    assert_eq!((world.tasks.stats().await.unwrap().open(), world.shelf.len()), (0, 1));
}
