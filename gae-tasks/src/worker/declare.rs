//! Declares the schedules of a worker's program, again and again: others see by that which
//! revisions of the program are at work.

use std::sync::Arc;
use std::time::Duration;

use crate::backend::{NewSchedule, Pull, PutSchedules, SchedulePut, SchedulesPut};
use crate::clock::Clock;
use crate::error::Error;
use crate::log;

/// How often a worker declares. A declared schedule outlives its last worker by 10 minutes, so some
/// declarations may fail.
const INTERVAL: Duration = Duration::from_secs(120);

/// The schedules that a revision of a program declares: these and no others.
#[derive(Debug, Clone)]
pub(crate) struct Declaration {
    pub(crate) program: String,
    pub(crate) revision: i64,
    pub(crate) schedules: Arc<[NewSchedule]>,
}

/// Declares schedules.
#[derive(Debug)]
pub(super) struct Declarer {
    declaration: Declaration,
    /// When it has declared them last, by the monotonic clock.
    at: Option<Duration>,
    /// What was reported of them last.
    told: Vec<SchedulePut>,
}

impl Declarer {
    pub(super) fn new(declaration: Declaration) -> Self {
        Self { declaration, at: None, told: Vec::new() }
    }

    /// Whether there is anything to declare.
    pub(super) fn has_any(&self) -> bool {
        !self.declaration.schedules.is_empty()
    }

    /// Declares the schedules, unless that was lately.
    pub(super) async fn declare(
        &mut self,
        pull: &dyn Pull,
        clock: &dyn Clock,
    ) -> Result<(), Error> {
        let now = clock.monotonic();
        if self.at.is_some_and(|at| now.saturating_sub(at) < INTERVAL) {
            return Ok(());
        }
        let Declaration { program, revision, schedules } = &self.declaration;
        let schedules = Arc::clone(schedules);
        let request = PutSchedules::declared(clock.now(), program.clone(), *revision, schedules);
        let put = pull.put_schedules(request).await?;
        self.at = Some(now);
        self.report(&put);
        self.told = put.schedules;
        Ok(())
    }

    /// Reports what did not become of the schedules as declared, once.
    fn report(&self, put: &SchedulesPut) {
        let Declaration { program, revision, schedules } = &self.declaration;
        for (place, (schedule, put)) in schedules.iter().zip(&put.schedules).enumerate() {
            let schedule = schedule.name.as_str();
            match put {
                _ if self.told.get(place) == Some(put) => {}
                SchedulePut::Newer(newer) => log::say(|| {
                    tracing::info!(
                        program,
                        schedule,
                        revision,
                        newer,
                        "the schedule stays as a newer revision of the program declares it"
                    );
                }),
                SchedulePut::Differs => log::say(|| {
                    tracing::error!(
                        program,
                        schedule,
                        revision,
                        "the schedule stays as another worker of this revision has declared it, \
                         which was otherwise, until none that does so was seen for 10 minutes: \
                         state a higher revision (`Client::builder().revision(..)`)"
                    );
                }),
                SchedulePut::Taken => log::say(|| {
                    tracing::error!(
                        program,
                        schedule,
                        "the schedule is not declared: one of its name was made at run time; \
                         remove that one (`remove_schedule`), or rename the task"
                    );
                }),
                SchedulePut::Created | SchedulePut::Changed | SchedulePut::Kept => {}
            }
        }
        for schedule in &put.stopped {
            log::say(|| {
                tracing::info!(
                    program,
                    schedule,
                    revision,
                    "the schedule has ended: this revision does not declare it, and no worker that \
                     does was seen for 10 minutes"
                );
            });
        }
    }
}
