//! The role that ends a worker: waits for what runs, stops what can be stopped, records everything.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;

use super::Crew;
use super::keep::Keeper;
use super::settle::Settler;
use crate::backend::{Settlement, Verdict};

/// How long cancelled attempts may take to end, and the last outcomes to be recorded.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// What is still at work when a worker ends.
pub(super) struct Hands {
    pub(super) runners: JoinSet<()>,
    pub(super) settler: Settler,
    pub(super) keeper: Keeper,
}

/// Ends the attempts within `grace`. Burns no attempt: what did not end is cancelled and given back.
///
/// What cannot be stopped (a plain function, an async one that computes without awaiting) keeps its lease, or another
/// worker would run it beside this one: it goes on in the background until it returns or the process ends.
pub(super) async fn finish(crew: &Arc<Crew>, hands: Hands, grace: Duration) {
    tracing::info!(running = crew.waiting.running(), "shutting down: no more tasks are leased");
    for task in crew.waiting.take_all() {
        hands.settler.send(Settlement::new(task.lease, Verdict::Release));
    }
    if !within(crew, grace, nothing_runs(crew)).await {
        tracing::warn!(running = crew.waiting.running(), "the grace time is over: what still runs is cancelled");
        crew.held.cancel_all();
        within(crew, LAST_WORDS, nothing_runs(crew)).await;
    }
    if crew.waiting.running() == 0 {
        let recorded = hands.finish();
        if !within(crew, LAST_WORDS, recorded).await {
            tracing::error!("the storage does not answer: tasks that have ended may run again");
        }
        return;
    }
    tracing::warn!(
        running = crew.waiting.running(),
        "attempts that cannot be stopped go on in the background; their leases are kept as long as this process lives"
    );
    if !within(crew, LAST_WORDS, crew.held.only_unended(&crew.waiting.moved)).await {
        tracing::error!("the storage does not answer: tasks that have ended may run again");
    }
    let crew = Arc::clone(crew);
    tokio::spawn(async move {
        nothing_runs(&crew).await;
        hands.finish().await;
    });
}

impl Hands {
    /// Ends the idle runners, records what is left to be recorded, and keeps leases until then.
    async fn finish(self) {
        let Self { mut runners, settler, keeper } = self;
        runners.shutdown().await;
        settler.finish().await;
        keeper.finish().await;
    }
}

/// Whether `done` is in time.
async fn within(crew: &Crew, limit: Duration, done: impl Future<Output = ()>) -> bool {
    tokio::select! {
        biased;
        () = done => true,
        () = crew.clock.sleep(limit) => false,
    }
}

async fn nothing_runs(crew: &Crew) {
    while crew.waiting.running() > 0 {
        crew.waiting.moved.notified().await;
    }
}
