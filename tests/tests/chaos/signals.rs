//! Signals to a worker whose runtime is stuck.

use std::time::Duration;

use gae_tasks_tests::chaos::block;

use super::stage::{Process, SECOND, Stage, until};

/// Starts a worker with a handler that blocks the runtime for ever.
async fn stuck() -> (Stage, Process) {
    let stage = Stage::new().await;
    let task = block::defer(stage.orders("never").file()).on(&stage.tasks).await.unwrap().id;
    let worker = stage.worker().grace(1.0).start();
    stage.until_begun(&[task], 1).await;
    (stage, worker)
}

async fn end(worker: Process) -> Option<i32> {
    let worker = std::cell::RefCell::new(worker);
    until("the end of the process", 5 * SECOND, async || worker.borrow_mut().ended().is_some())
        .await;
    worker.into_inner().wait().code()
}

#[tokio::test]
async fn the_second_signal_ends_a_worker_whose_runtime_is_stuck() {
    let (_stage, mut worker) = stuck().await;
    worker.signal("-TERM");
    // The system merges two pending signals of one kind.
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert!(worker.ended().is_none(), "one signal does not end a running attempt");
    worker.signal("-TERM");
    assert_eq!(end(worker).await, Some(130));
}

#[tokio::test]
async fn two_signals_at_once_end_a_worker_whose_runtime_is_stuck() {
    let (_stage, worker) = stuck().await;
    worker.signal("-TERM");
    worker.signal("-INT");
    assert_eq!(end(worker).await, Some(130));
}
