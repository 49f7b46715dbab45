//! One request to record outcomes, made until the storage answers, and what is logged of the
//! answers.

use std::time::Duration;

use crate::backend::settle::ROLLED_BACK;
use crate::backend::{Settle, Settled, Settlement, Verdict};
use crate::log;
use crate::worker::crew::{Crew, pause};

/// The longest pause before a request is made again during shutdown, when little time is left.
const MAX_LAST_PAUSE: Duration = Duration::from_millis(250);

/// Records outcomes, however long the storage is unavailable: until then the leases are kept.
/// Returns the outcomes that are not recorded because their tasks are locked; their leases are kept
/// on.
pub(super) async fn record(crew: &Crew, settlements: Vec<Settlement>) -> Vec<Settlement> {
    let mut failures = 0;
    loop {
        let request = Settle::new(crew.clock.now(), settlements.clone());
        match crew.pull.settle(request).await {
            Ok(answers) => {
                report(crew, &settlements, &answers, failures > 0);
                let mut answers = answers.iter();
                let is_locked = |_: &Settlement| answers.next() == Some(&Settled::Locked);
                let (locked, over): (Vec<_>, Vec<_>) = settlements.into_iter().partition(is_locked);
                crew.held.remove(&over);
                return locked;
            }
            Err(error) => {
                let error = crate::outcome::chain(&error);
                log::say(|| tracing::error!(error, "cannot record outcomes, trying again"));
                rest(crew, pause(failures)).await;
                failures = failures.saturating_add(1);
            }
        }
    }
}

/// Waits before a request is made again, at most until the shutdown begins.
pub(super) async fn rest(crew: &Crew, pause: Duration) {
    if crew.waiting.is_closed() {
        return crew.clock.sleep(pause.min(MAX_LAST_PAUSE)).await;
    }
    tokio::select! {
        () = crew.clock.sleep(pause) => {}
        () = crew.waiting.closed() => {}
    }
}

/// Logs that the outcome of a locked task is recorded later.
pub(super) fn announce_locked(crew: &Crew, settlement: &Settlement) {
    let (id, kind) = (settlement.lease.id, crew.held.kind(&settlement.lease));
    log::say(|| {
        tracing::warn!(
            %id, kind,
            "a transaction that has not ended, perhaps that of `complete_in`, has locked the task: \
             its lease is kept, and its outcome is recorded once the transaction has ended"
        );
    });
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
            Settled::Dead if crew.held.is_cancelled(&settlement.lease) => {
                let kind = crew.held.kind(&settlement.lease);
                log::say(|| tracing::info!(%id, kind, "the cancelled task is now a dead letter"));
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
            Settled::Done | Settled::Scheduled(_) | Settled::Locked => {}
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
