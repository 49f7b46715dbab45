//! Carries a leased task to its destination: creates the task there, and says what to record here.

use std::sync::Arc;
use std::time::Duration;

use super::destination::Destination;
use super::patience::Patience;
use crate::attributes::Attributes;
use crate::backend::accept::check_backoff;
use crate::backend::{
    BoxFuture, CopyTask, Enqueue, LeasedTask, NewTask, Pull, Settlement, Standing, TaskRecord,
    Verdict,
};
use crate::clock::Clock;
use crate::error::Error;
use crate::log;
use crate::outcome::chain;
use crate::queue::{QueueName, TypeBackoff};
use crate::registry::Registry;
use crate::task::{Deferred, TaskSpec};
use crate::time::Schedule;
use crate::worker::{Errand, Hold};

/// Carries tasks to a destination.
#[derive(Debug)]
pub(crate) struct Carrier {
    pull: Arc<dyn Pull>,
    destination: Arc<Destination>,
    /// The tasks that this program knows, for the deadlines and backoffs of their types.
    registry: Arc<Registry>,
    clock: Arc<dyn Clock>,
    /// How long a creation may go on after the shutdown has begun.
    grace: Duration,
    patience: Patience,
}

/// Why a task is not created.
#[derive(Debug)]
enum Refused {
    /// Another try may succeed. The task may have been created nevertheless if `is_unknown`.
    Now { error: Error, is_unknown: bool },
    /// No later try would succeed.
    ForGood(Error),
    /// The task is not stored here any more.
    Gone,
}

impl Carrier {
    pub(crate) fn new(
        pull: Arc<dyn Pull>,
        destination: Arc<Destination>,
        registry: Arc<Registry>,
        clock: Arc<dyn Clock>,
        grace: Duration,
    ) -> Self {
        let patience = Patience::new(Arc::clone(&clock));
        Self { pull, destination, registry, clock, grace, patience }
    }

    /// Tries to create the task until that has an answer, or until the lease is lost or the relay
    /// shut down.
    ///
    /// A task that may have been created is not released: the next holder must know, and a lost
    /// lease says so. For the same reason, it is tried on if it is cancelled; any other cancelled
    /// task is not created.
    async fn carry(&self, task: &LeasedTask, hold: Hold<'_>) -> Option<Settlement> {
        let (mut is_unknown, mut failures) = (may_exist(task), 0_u32);
        let unanswered =
            |is_unknown: bool| (!is_unknown).then(|| Settlement::new(task.lease, Verdict::Release));
        while hold.is_held() {
            if !is_unknown && hold.is_cancelled() {
                return unanswered(is_unknown);
            }
            let answer = tokio::select! {
                biased;
                answer = self.create(task, is_unknown) => answer,
                () = self.no_longer(&hold) => return None,
            };
            match answer {
                Ok(created) => return Some(self.created(task, created)),
                Err(Refused::ForGood(error)) => return Some(self.refused(task, &error)),
                // Its lease is lost, so this changes nothing.
                Err(Refused::Gone) => return unanswered(is_unknown),
                Err(Refused::Now { error, is_unknown: is_lost }) => {
                    is_unknown |= is_lost;
                    failures = failures.saturating_add(1);
                    self.report(task, &error);
                }
            }
            tokio::select! {
                () = self.patience.rest(&task.spec.queue, failures) => {}
                () = hold.closed() => return unanswered(is_unknown),
                () = hold.cancelled(), if !is_unknown => {}
            }
        }
        None
    }

    /// Waits until the relay is shut down and its grace time is over.
    async fn no_longer(&self, hold: &Hold<'_>) {
        hold.closed().await;
        self.clock.sleep(self.grace).await;
    }

    async fn create(&self, task: &LeasedTask, repeated: bool) -> Result<Deferred, Refused> {
        let new = self.new_task(task).await?;
        let before = self.pull.get(task.spec.id).await.map_err(not_read)?.ok_or(Refused::Gone)?;
        if before.first_number() > 0 {
            return self.continue_life(&before, new).await;
        }
        self.check(&new)?;
        let mut request = Enqueue::new(self.clock.now(), vec![new]);
        request.repeated = repeated;
        let answers = self.destination.backend.enqueue(request).await;
        let no_answer = || Err(Error::storage(self.destination.name(), NO_ANSWER, "no answer"));
        let answer = answers.and_then(|mut answers| answers.pop().unwrap_or_else(no_answer));
        answer.map_err(|error| self.judge(&task.spec.queue, error))
    }

    /// Creates a task that has failed before, here or at the destination: it was replayed, and
    /// the name that it had there is blocked. So it is created as a copy, and the attempts
    /// before travel along.
    async fn continue_life(&self, before: &TaskRecord, new: NewTask) -> Result<Deferred, Refused> {
        let (now, id, queue) = (self.clock.now(), new.spec.id, new.spec.queue.clone());
        match was_elsewhere(before) {
            true => self.check(&new.clone().with(|task| task.spec.retry = None))?,
            false => self.check(&new)?,
        }
        let copy = CopyTask {
            attempts: before.attempts,
            first_attempt: before.first_attempt,
            replayed: Some(self.clock.wall()),
            ..CopyTask::new(now, new, before.first_number())
        };
        let copied = self.destination.backend.copy(copy).await;
        copied.map(|()| Deferred::new(id, true)).map_err(|error| self.judge(&queue, error))
    }

    /// Checks what `defer` checks in a client that knows the relay, as far as this program knows
    /// the task's type.
    fn check(&self, new: &NewTask) -> Result<(), Refused> {
        let kind = new.spec.kind.as_str();
        let of_type = self.registry.by_kind(kind).filter(|known| known.backoff.is_stated());
        let of_type = of_type.map(|_| TypeBackoff::KEYS);
        check_backoff(kind, of_type, self.destination.capabilities())
            .and_then(|()| self.destination.check(new))
            .map_err(Refused::ForGood)
    }

    /// Decides whether another try may succeed.
    fn judge(&self, queue: &QueueName, error: Error) -> Refused {
        match error {
            // The clock of the destination is behind.
            Error::BeyondHorizon { .. } | Error::PayloadStore { .. } => {
                Refused::Now { error, is_unknown: false }
            }
            // A mistake in the settings of the destination would be one in each task.
            Error::TaskRefused { .. } if !self.patience.has_succeeded(queue) => {
                Refused::Now { error, is_unknown: false }
            }
            Error::Storage { .. } => Refused::Now { error, is_unknown: true },
            error => Refused::ForGood(error),
        }
    }

    /// Returns the task as it is created at the destination, with the schema of its payload and the
    /// paths that are never shown.
    async fn new_task(&self, task: &LeasedTask) -> Result<NewTask, Refused> {
        let (spec, wall) = (&task.spec, self.clock.wall());
        // Read anew for each task: another program may have marked more as sensitive.
        let schemas = self.pull.schemas(vec![spec.shape]).await.map_err(not_read)?;
        let sensitive = self.pull.sensitive(vec![spec.kind.clone()]).await.map_err(not_read)?;
        let schema = schemas.into_iter().next().flatten().unwrap_or_default();
        let of_type = || self.registry.by_kind(spec.kind.as_str())?.deadline;
        // What is unique is so where it was deferred.
        let (deadline, unique) = (spec.deadline.or_else(of_type), None);
        let spec = TaskSpec { deadline, unique, ..spec.clone() };
        let mut new = NewTask::new(spec, task.payload.clone(), schema);
        new.sensitive = sensitive.into_iter().next().unwrap_or_default();
        // A task that is due waits for no clock.
        if task.schedule_time > wall {
            new.schedule = Schedule::At(task.schedule_time);
        }
        Ok(new)
    }

    /// The task is over here. If another task has its name there, the task is not needed, as a
    /// `defer` would have answered; otherwise its payload is needed there.
    fn created(&self, task: &LeasedTask, answer: Deferred) -> Settlement {
        let TaskSpec { id, kind, queue, name, .. } = &task.spec;
        let to = self.destination.name();
        if self.patience.succeeded(queue) {
            log::say(|| tracing::info!(%queue, to, "tasks of the queue are created again"));
        }
        if !answer.created {
            let name = name.as_ref().map(tracing::field::display);
            log::say(|| {
                tracing::warn!(
                    %queue, %id, %kind, name, to,
                    "the task is not relayed, because another task has its name at the destination"
                );
            });
        }
        let done = Settlement::new(task.lease, Verdict::Done);
        Settlement { keeps_payload: answer.created, ..done }
    }

    fn refused(&self, task: &LeasedTask, error: &Error) -> Settlement {
        let TaskSpec { id, kind, queue, .. } = &task.spec;
        let (to, error) = (self.destination.name(), chain(error));
        log::say(|| {
            tracing::error!(
                %queue, %id, %kind, to, error,
                "the task cannot be relayed and becomes a dead letter"
            );
        });
        let error =
            format!("the task `{id}` of queue `{queue}` cannot be relayed to `{to}`: {error}");
        Settlement::new(task.lease, Verdict::Undeliverable { error })
    }

    fn report(&self, task: &LeasedTask, error: &Error) {
        let TaskSpec { id, kind, queue, .. } = &task.spec;
        if self.patience.failed(queue) {
            let (to, error) = (self.destination.name(), chain(error));
            log::say(|| {
                tracing::error!(%queue, %id, %kind, to, error, "cannot relay a task, trying again");
            });
        }
    }
}

/// The error of a storage here that is not read at the moment.
const fn not_read(error: Error) -> Refused {
    Refused::Now { error, is_unknown: false }
}

const NO_ANSWER: &str = "returned no answer for the task";

impl Errand for Carrier {
    fn name(&self) -> &'static str {
        "relay"
    }

    fn run<'a>(
        &'a self,
        task: &'a LeasedTask,
        hold: Hold<'a>,
    ) -> BoxFuture<'a, Option<Settlement>> {
        Box::pin(self.carry(task, hold))
    }
}

/// Whether the task may exist at the destination already: a relay that had it before is gone. The
/// payload of a task is never deleted on a guess, so a task that has one in a payload store counts
/// as well.
fn may_exist(task: &LeasedTask) -> bool {
    task.standing != Standing::Clear
        || Attributes::spilled_in(task.spec.attributes.as_deref()).is_some()
}

/// Whether the task was replayed after it was attempted. It was at the destination then, where it
/// had no backoff of its own: its dead letter has the settings of its queue as if they were its
/// own. So it may also be if it died in a worker here, before the queue was relayed.
fn was_elsewhere(before: &TaskRecord) -> bool {
    before.attempts == 0 && before.errors.iter().any(|error| error.attempt > 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::TaskError;
    use crate::task::{Kind, Shape, TaskId};
    use crate::time::Timestamp;

    #[test]
    fn only_a_task_that_was_attempted_and_replayed_may_have_settings_of_its_queue() {
        let (id, kind) = (TaskId::from_bytes([7; 16]), Kind::from_static("shop/send"));
        let spec = TaskSpec::new(id, kind, Shape::from_bits(1), QueueName::DEFAULT);
        let now = Timestamp::from_micros(0);
        let record = TaskRecord::new(spec, None, now);
        let failed = |attempts, of| {
            let errors = vec![TaskError::new(of, now, "it failed")];
            was_elsewhere(&TaskRecord { attempts, errors, ..record.clone() })
        };
        assert!(!was_elsewhere(&record));
        assert!(failed(0, 3), "a dead letter of the destination was replayed");
        assert!(!failed(0, 0), "the relay has refused it before");
        assert!(!failed(3, 3), "a worker here has attempted it");
    }
}
