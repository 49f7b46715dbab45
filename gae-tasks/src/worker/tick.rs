//! The role that ticks: makes the tasks of schedules at their times. There is no leader: every
//! worker looks, and the storage lets one of them make each tick.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;

use super::crew::{Crew, pause};
use super::ticker::{POLL, Ticker};
use crate::error::Error;
use crate::log;

/// The shortest time between two looks.
const SHORTEST: Duration = Duration::from_millis(1);

/// Ticks in the background. Dropping the returned set ends that.
pub(super) fn start(crew: Arc<Crew>) -> JoinSet<()> {
    let mut background = JoinSet::new();
    background.spawn(async move {
        let (pull, clock) = (Arc::clone(&crew.pull), Arc::clone(&crew.clock));
        let mut ticker = Ticker::new(pull, clock, crew.declaration.clone());
        let (mut changes, mut failures) = (crew.pull.schedule_changes(), 0);
        let poll = crew.poll_interval.max(POLL);
        loop {
            changes.mark_unchanged();
            let wait = match ticker.look().await {
                Ok(looked) => {
                    failures = if looked.undeclared.is_some() { failures + 1 } else { 0 };
                    if let Some(error) = &looked.undeclared {
                        tell_of("cannot declare the schedules of the program", error, failures);
                    }
                    looked.next.map(|next| next.clamp(SHORTEST, poll))
                }
                Err(error) => {
                    failures += 1;
                    ticker.has_any().then(|| {
                        tell_of("cannot make the tasks of due schedules", &error, failures);
                        pause(failures)
                    })
                }
            };
            rest(&crew, &mut changes, wait, poll).await;
        }
    });
    background
}

/// Waits for the next look, `wait` from now. Where no schedule is known, a look follows a sweep in
/// place of a time, at most once in `poll`.
async fn rest(
    crew: &Crew,
    changes: &mut watch::Receiver<u64>,
    wait: Option<Duration>,
    poll: Duration,
) {
    let begun = crew.clock.monotonic();
    let mut slept = pin!(async {
        match wait {
            Some(wait) => crew.clock.sleep(wait).await,
            None => std::future::pending().await,
        }
    });
    loop {
        tokio::select! {
            // Not if the backend is gone with its sender.
            Ok(()) = changes.changed() => return,
            () = &mut slept => return,
            () = crew.swept.notified() => {
                let passed = crew.clock.monotonic().saturating_sub(begun);
                if wait.is_none() && passed >= poll {
                    return;
                }
            }
        }
    }
}

/// Logs a failure, at a falling rate, as looks repeat soon.
fn tell_of(what: &str, error: &Error, failures: u32) {
    if failures.is_power_of_two() {
        let error = crate::outcome::chain(error);
        log::say(|| tracing::error!(error, "{what}, trying again"));
    }
}
