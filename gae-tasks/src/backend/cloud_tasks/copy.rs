//! Storing copies: Google accepts a chosen time for the next attempt only as another task.

use std::time::Duration;

use super::call::{call, is_duplicate};
use super::error::{Sent, not_stored};
use super::limits::HORIZON;
use super::request::Draft;
use super::shared::Shared;
use crate::backend::CopyTask;
use crate::envelope::Copied;
use crate::error::Error;
use crate::time::{Schedule, Timestamp};

/// The minimum margin between a copy's schedule time and the horizon: Google's clock may be behind
/// this one.
const SLACK: Duration = Duration::from_secs(60);

impl Shared {
    /// Stores a copy. Its name is derived from id and number, so a repeated call stores the copy
    /// once.
    pub(super) async fn copy(&self, request: CopyTask, now: Timestamp) -> Result<(), Error> {
        let CopyTask { mut task, number, attempts, first_attempt, replayed, .. } = request;
        // A name belongs to the task that was deferred, and stays blocked after its end.
        task.spec.name = None;
        task.schedule = within_horizon(task.schedule, now);
        let copied = Copied { number, attempts, first_attempt, replayed };
        let draft = Draft::of_copy(self, &task, copied, now)?;
        let called = call(self.time_limit, || {
            self.google.create_task().with_request(draft.request.clone()).send()
        })
        .await;
        match called.answer {
            Ok(_) => Ok(()),
            Err(failure) if is_duplicate(&failure) => Ok(()),
            Err(failure) => {
                let (asked, target) = (self.asked_to_create(&task), &self.target);
                Err(not_stored(
                    Sent { asked, target, task: &task, now, lost: called.lost },
                    failure,
                ))
            }
        }
    }
}

fn within_horizon(schedule: Schedule, now: Timestamp) -> Schedule {
    if !schedule.is_timed() {
        return schedule;
    }
    Schedule::At(schedule.resolve(now).min(now.plus(HORIZON - SLACK)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_is_scheduled_within_the_horizon() {
        let now = Timestamp::from_micros(1_000_000);
        let latest = Schedule::At(now.plus(HORIZON - SLACK));
        for late in [
            Schedule::At(Timestamp::MAX),
            Schedule::After(HORIZON),
            Schedule::At(now.plus(HORIZON)),
        ] {
            assert_eq!(within_horizon(late, now), latest, "{late:?}");
        }
        let soon = Schedule::At(now.plus(SLACK));
        assert_eq!(
            [within_horizon(soon, now), within_horizon(Schedule::Now, now)],
            [soon, Schedule::Now]
        );
    }
}
