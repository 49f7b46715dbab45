//! Requests for a tick of a schedule, of which a task is stored: those of a job of Cloud Scheduler,
//! and those of App Engine's cron service.

use std::time::Duration;

use http::header::HeaderName;
use http::request::Parts;

use super::response::Reply;
use super::settings::ServiceSettings;
use super::verify::{HeaderFamily, only};
use crate::backend::definition::Definition;
use crate::backend::{Enqueue, NewSchedule, ScheduleKey};
use crate::cron::Cron;
use crate::error::Error;
use crate::log;
use crate::outcome::chain;
use crate::time::Timestamp;

/// When the tick was due. Source: the headers of `HttpTarget` in the API of Cloud Scheduler.
static SCHEDULE_TIME: HeaderName = HeaderName::from_static("x-cloudscheduler-scheduletime");

/// A header that only the requests of a queue have.
static QUEUE_NAME: HeaderName = HeaderName::from_static("x-cloudtasks-queuename");

/// How late App Engine's cron service may call.
const LATE: Duration = Duration::from_secs(60 * 60);

/// How far this clock may be behind that of App Engine's cron service.
const EARLY: Duration = Duration::from_secs(5);

/// Whether a request that was proven to come from the queue or the scheduler is a tick.
pub(super) fn is_tick(parts: &Parts, family: HeaderFamily) -> bool {
    family == HeaderFamily::CloudTasks
        && parts.headers.contains_key(&SCHEDULE_TIME)
        && !parts.headers.contains_key(&QUEUE_NAME)
}

impl ServiceSettings {
    /// Stores the task of a tick for which Cloud Scheduler calls, under the tick's name: a repeated
    /// request stores none. The task is made of what this program declares, not of the request.
    pub(super) async fn tick(&self, parts: &Parts, kind: &str) -> Reply {
        let declared = self.declaration.schedules.iter().find(|declared| declared.name == kind);
        let Some(declared) = declared else { return without_schedule(kind) };
        let Some(tick) = tick_of(parts) else {
            log::say(|| {
                tracing::error!(
                    kind,
                    "a request of Cloud Scheduler does not say when its tick was due, so it cannot \
                     be told from others: give the job a schedule of five fields"
                );
            });
            return Reply::Failed(None);
        };
        self.store_tick(declared, tick).await
    }

    /// Stores the task of the tick for which App Engine's cron service calls now. The request does
    /// not say which tick it is for, so that is the last one of the task's schedules.
    pub(super) async fn cron_tick(&self, kind: &str) -> Reply {
        let Some(_room) = self.capacity.enter() else { return Reply::Overloaded };
        let now = self.clock.wall();
        let schedules = self.declaration.schedules.iter();
        let ticks = schedules.filter_map(|of| Some((last_tick(of, kind, now)?, of)));
        match ticks.max_by_key(|(last, _)| *last) {
            Some(((_, tick), declared)) => self.store_tick(declared, tick).await,
            None => without_schedule(kind),
        }
    }

    async fn store_tick(&self, declared: &NewSchedule, tick: Timestamp) -> Reply {
        let Err(error) = self.store(declared, tick).await else { return Reply::Done };
        let (schedule, error) = (declared.name.as_str(), chain(&error));
        log::say(|| {
            tracing::error!(schedule, %tick, error, "the task of a tick cannot be stored");
        });
        Reply::Failed(None)
    }

    async fn store(&self, declared: &NewSchedule, tick: Timestamp) -> Result<(), Error> {
        // This program has encoded it.
        let Ok(definition) = Definition::decode(&declared.definition) else { return Ok(()) };
        let key = ScheduleKey::new(&self.declaration.program, &declared.name);
        let request = Enqueue::new(self.clock.now(), vec![definition.task_of(&key, tick)]);
        for answer in self.queue.enqueue(request).await? {
            // A name in use means that the tick is stored already.
            answer?;
        }
        Ok(())
    }
}

fn without_schedule(kind: &str) -> Reply {
    log::say(|| {
        tracing::warn!(
            kind,
            "the task has no schedule here: if it has none any more, delete its job of Cloud \
             Scheduler, or its entry in `cron.yaml`; otherwise another instance may store the tick"
        );
    });
    Reply::Unroutable
}

fn tick_of(parts: &Parts) -> Option<Timestamp> {
    only(&parts.headers, &SCHEDULE_TIME).ok()??.to_str().ok()?.trim().parse().ok()
}

/// The last tick of a schedule of this task, and whether the schedule says so: an interval has no
/// times of its own, and one that the program declares otherwise than its `cron.yaml` has others.
/// Then this minute is the tick.
fn last_tick(declared: &NewSchedule, kind: &str, now: Timestamp) -> Option<(bool, Timestamp)> {
    const MINUTE: i64 = 60_000_000;
    let definition = Definition::decode(&declared.definition).ok()?;
    let cron = Cron::parse(&declared.cron).ok()?;
    if definition.task.spec.kind.as_str() != kind {
        return None;
    }
    let known = match cron.counts_from_last_tick() {
        true => None,
        false => cron.last_between(now.minus(LATE), now.plus(EARLY)),
    };
    let micros = now.as_micros();
    let minute = Timestamp::from_micros(micros.saturating_sub(micros.rem_euclid(MINUTE)));
    Some((known.is_some(), known.unwrap_or(minute)))
}
