//! The role that ends a worker: waits for what runs, gives back what does not, records the rest.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;

use super::Crew;
use super::settle::Settler;
use crate::backend::{Settlement, Verdict};

/// How long the last outcomes may take to be recorded once everything has stopped.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// Ends the attempts within `grace` and records all outcomes. Burns no attempt: what did not end is given back.
pub(super) async fn finish(crew: &Arc<Crew>, mut runners: JoinSet<()>, settler: Settler, grace: Duration) {
    tracing::info!(running = crew.waiting.running(), "shutting down: no more tasks are leased");
    for task in crew.waiting.take_older_than(None) {
        settler.send(Settlement::new(task.lease, Verdict::Release));
    }
    tokio::select! {
        biased;
        () = nothing_runs(crew) => {}
        () = crew.clock.sleep(grace) => {
            tracing::warn!(running = crew.waiting.running(), "the grace time is over: what still runs is given back");
        }
    }
    runners.shutdown().await;
    // Outcomes on their way to the settler come before these, and then these find no lease: no harm.
    for lease in crew.held.stoppable() {
        settler.send(Settlement::new(lease, Verdict::Release));
    }
    tokio::select! {
        biased;
        () = settler.finish() => {}
        () = crew.clock.sleep(LAST_WORDS) => {
            tracing::error!("the storage does not answer: tasks that have ended may run again");
        }
    }
}

async fn nothing_runs(crew: &Crew) {
    while crew.waiting.running() > 0 {
        crew.waiting.moved.notified().await;
    }
}
