//! The role that records outcomes: all waiting outcomes in one request, and those of locked tasks
//! apart from the others.

mod record;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::{JoinHandle, JoinSet};

use self::record::{announce_locked, record, rest};
use super::crew::{Crew, pause};
use crate::backend::Settlement;
use crate::unwind;

/// The most outcomes in one request.
const MAX_BATCH: usize = 2000;

/// The longest pause before the outcomes of locked tasks are tried again.
const MAX_PAUSE: Duration = Duration::from_secs(1);

/// The tasks that record outcomes; they end once all senders are gone and every outcome is
/// recorded.
#[derive(Debug)]
pub(super) struct Settler {
    settlements: UnboundedSender<Settlement>,
    task: JoinHandle<()>,
    /// Tries the outcomes of locked tasks again. Dropping the set ends that: nobody extends the
    /// leases of these tasks then.
    again: JoinSet<()>,
}

impl Settler {
    pub(super) fn start(crew: Arc<Crew>) -> Self {
        let (settlements, received) = unbounded_channel();
        let (locked, of_locked) = unbounded_channel();
        let mut again = JoinSet::new();
        again.spawn(settle_locked(Arc::clone(&crew), of_locked));
        Self { settlements, task: tokio::spawn(settle_all(crew, received, locked)), again }
    }

    pub(super) fn send(&self, settlement: Settlement) {
        // The receiver lives as long as the settler.
        _ = self.settlements.send(settlement);
    }

    pub(super) fn sender(&self) -> UnboundedSender<Settlement> {
        self.settlements.clone()
    }

    /// Waits until every sent outcome is recorded; the other senders must be gone.
    pub(super) async fn finish(self) {
        let Self { settlements, mut task, mut again } = self;
        drop(settlements);
        _ = (&mut task).await;
        unwind::discard(again.join_next().await);
    }
}

async fn settle_all(
    crew: Arc<Crew>,
    mut received: UnboundedReceiver<Settlement>,
    locked: UnboundedSender<Settlement>,
) {
    let mut batch = Vec::new();
    while received.recv_many(&mut batch, MAX_BATCH).await > 0 {
        for settlement in record(&crew, std::mem::take(&mut batch)).await {
            announce_locked(&crew, &settlement);
            // Without a receiver the worker has ended.
            _ = locked.send(settlement);
        }
    }
}

/// Records the outcomes of locked tasks, for whose transactions no other outcome waits. Their
/// leases are kept until then.
async fn settle_locked(crew: Arc<Crew>, mut received: UnboundedReceiver<Settlement>) {
    let (mut left, mut tries) = (Vec::new(), 0);
    loop {
        if left.is_empty() {
            let Some(first) = received.recv().await else { return };
            (left, tries) = (vec![first], 0);
        }
        rest(&crew, pause(tries).min(MAX_PAUSE)).await;
        tries = tries.saturating_add(1);
        while let Ok(another) = received.try_recv() {
            left.push(another);
            tries = 0;
        }
        for batch in std::mem::take(&mut left).chunks(MAX_BATCH) {
            left.extend(record(&crew, batch.to_vec()).await);
        }
    }
}
