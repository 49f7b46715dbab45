//! The request of a Cloud Scheduler job: a tick of a schedule, of which a task is stored.

use http::header::HeaderName;
use http::request::Parts;

use super::response::Reply;
use super::settings::ServiceSettings;
use crate::backend::definition::Definition;
use crate::backend::{Enqueue, ScheduleKey};
use crate::error::Error;
use crate::log;
use crate::outcome::chain;
use crate::time::Timestamp;

/// When the tick was due. Source: the headers of `HttpTarget` in the API of Cloud Scheduler.
static SCHEDULE_TIME: HeaderName = HeaderName::from_static("x-cloudscheduler-scheduletime");

/// A header that only the requests of a queue have.
static QUEUE_NAME: HeaderName = HeaderName::from_static("x-cloudtasks-queuename");

/// Whether a request that was proven to come from the queue or the scheduler is a tick.
pub(super) fn is_tick(parts: &Parts) -> bool {
    parts.headers.contains_key(&SCHEDULE_TIME) && !parts.headers.contains_key(&QUEUE_NAME)
}

impl ServiceSettings {
    /// Stores the task of a tick, under the tick's name: a repeated request stores none. The task
    /// is made of what this program declares, not of the request.
    pub(super) async fn tick(&self, parts: &Parts, kind: &str) -> Reply {
        let declared = self.declaration.schedules.iter().find(|declared| declared.name == kind);
        let Some(declared) = declared else {
            log::say(|| {
                tracing::warn!(
                    kind,
                    "the task has no schedule here: if it has none any more, delete its job of \
                     Cloud Scheduler; otherwise another instance may store the tick"
                );
            });
            return Reply::Unroutable;
        };
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
        let key = ScheduleKey::new(&self.declaration.program, kind);
        match self.store(&key, &declared.definition, tick).await {
            Ok(()) => Reply::Done,
            Err(error) => {
                let error = chain(&error);
                log::say(|| {
                    tracing::error!(kind, %tick, error, "the task of a tick cannot be stored");
                });
                Reply::Failed(None)
            }
        }
    }

    async fn store(
        &self,
        key: &ScheduleKey,
        definition: &[u8],
        tick: Timestamp,
    ) -> Result<(), Error> {
        // This program has encoded it.
        let Ok(definition) = Definition::decode(definition) else { return Ok(()) };
        let request = Enqueue::new(self.clock.now(), vec![definition.task_of(key, tick)]);
        for answer in self.queue.enqueue(request).await? {
            // A name in use means that the tick is stored already.
            answer?;
        }
        Ok(())
    }
}

fn tick_of(parts: &Parts) -> Option<Timestamp> {
    parts.headers.get(&SCHEDULE_TIME)?.to_str().ok()?.trim().parse().ok()
}
