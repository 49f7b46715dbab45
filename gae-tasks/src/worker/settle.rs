//! The role that records outcomes: all waiting outcomes in one request.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::JoinHandle;

use super::crew::{Crew, pause};
use crate::backend::settle::ROLLED_BACK;
use crate::backend::{Settle, Settled, Settlement, Verdict};
use crate::log;

/// The most outcomes in one request.
const MAX_BATCH: usize = 2000;

/// The longest pause before a failed request is retried during shutdown, when little time is left.
const MAX_LAST_PAUSE: Duration = Duration::from_millis(250);

/// The task that records outcomes; ends once all its senders are gone and every outcome is
/// recorded.
#[derive(Debug)]
pub(super) struct Settler {
    settlements: UnboundedSender<Settlement>,
    task: JoinHandle<()>,
}

impl Settler {
    pub(super) fn start(crew: Arc<Crew>) -> Self {
        let (settlements, received) = unbounded_channel();
        Self { settlements, task: tokio::spawn(settle_all(crew, received)) }
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
        let Self { settlements, mut task } = self;
        drop(settlements);
        _ = (&mut task).await;
    }
}

async fn settle_all(crew: Arc<Crew>, mut received: UnboundedReceiver<Settlement>) {
    let mut batch = Vec::new();
    while received.recv_many(&mut batch, MAX_BATCH).await > 0 {
        settle(&crew, std::mem::take(&mut batch)).await;
    }
}

/// Records a batch, however long the storage is unavailable: until then the leases are kept.
async fn settle(crew: &Crew, settlements: Vec<Settlement>) {
    let mut failures = 0;
    loop {
        let request = Settle::new(crew.clock.now(), settlements.clone());
        match crew.pull.settle(request).await {
            Ok(answers) => {
                report(crew, &settlements, &answers, failures > 0);
                crew.held.remove(&settlements);
                return;
            }
            Err(error) => {
                let error = crate::outcome::chain(&error);
                log::say(|| tracing::error!(error, "cannot record outcomes, trying again"));
                rest(crew, failures).await;
                failures = failures.saturating_add(1);
            }
        }
    }
}

/// Waits before a failed request is retried, at most until the shutdown begins.
async fn rest(crew: &Crew, failures: u32) {
    let pause = pause(failures);
    if crew.waiting.is_closed() {
        return crew.clock.sleep(pause.min(MAX_LAST_PAUSE)).await;
    }
    tokio::select! {
        () = crew.clock.sleep(pause) => {}
        () = crew.waiting.closed() => {}
    }
}

fn report(crew: &Crew, settlements: &[Settlement], answers: &[Settled], repeated: bool) {
    for (settlement, answer) in settlements.iter().zip(answers) {
        let id = settlement.lease.id;
        report_completed(crew, settlement, *answer);
        match answer {
            Settled::LeaseLost if !is_worth_logging(&settlement.verdict, repeated) => {}
            Settled::LeaseLost => {
                let kind = crew.held.kind(&settlement.lease);
                log::say(|| {
                    tracing::warn!(
                        %id, kind,
                        "the lease was lost before the outcome was recorded; the task may run \
                         again"
                    );
                });
            }
            Settled::Dead => {
                let kind = crew.held.kind(&settlement.lease);
                let error = settlement.verdict.error().unwrap_or_default();
                log::say(|| {
                    tracing::error!(
                        %id, kind, error,
                        "the task is now a dead letter, kept until it is replayed, deleted or too \
                         old"
                    );
                });
            }
            Settled::Done | Settled::Scheduled(_) => {}
        }
    }
}

/// Logs what became of a task that its handler has completed in a transaction, where that is not
/// what the handler has returned.
fn report_completed(crew: &Crew, settlement: &Settlement, answer: Settled) {
    if settlement.rolled_back.is_none() {
        return;
    }
    let (id, has_succeeded) = (settlement.lease.id, settlement.verdict == Verdict::Done);
    let kind = || crew.held.kind(&settlement.lease);
    log::say(|| match answer {
        Settled::Done if !has_succeeded => {
            let (kind, error) = (kind(), settlement.verdict.error().unwrap_or_default());
            tracing::warn!(
                %id, kind, error,
                "the handler failed after the transaction that completes the task had committed: \
                 the task is done"
            );
        }
        Settled::Scheduled(_) if has_succeeded => {
            tracing::warn!(%id, kind = kind(), "the task is retried: {ROLLED_BACK}");
        }
        _ => {}
    });
}

/// Whether to log that the lease of an attempt with this verdict was lost.
fn is_worth_logging(verdict: &Verdict, repeated: bool) -> bool {
    // The request before may have been carried out although its answer was lost.
    !repeated && *verdict != Verdict::Release
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lost_lease_is_told_of_where_an_outcome_is_lost_with_it() {
        assert!(is_worth_logging(&Verdict::Done, false));
        assert!(
            !is_worth_logging(&Verdict::Release, false) && !is_worth_logging(&Verdict::Done, true)
        );
    }
}
