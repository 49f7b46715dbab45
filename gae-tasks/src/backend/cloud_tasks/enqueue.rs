//! Storing tasks: one call per task, a bounded number at a time, each repeatable without a
//! duplicate.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::StreamExt;

use super::call::{Failure, call, is_duplicate, is_missing};
use super::error::{Asked, Sent, failed, not_stored};
use super::request::{Draft, Mark};
use super::shared::Shared;
use crate::attributes::Attributes;
use crate::backend::{Enqueue, NewTask};
use crate::error::Error;
use crate::log;
use crate::task::Deferred;
use crate::time::Timestamp;

/// The number of simultaneous calls for the tasks of one request.
///
/// Google's batch call is not used: it takes only tasks of one queue, returns an operation that has
/// to be polled until it is done, and reports failures by position. Single calls are idempotent by
/// their names, and as fast when they run concurrently.
const AT_ONCE: usize = 32;

impl Shared {
    /// Stores tasks and returns a result for each.
    pub(super) async fn enqueue(
        self: Arc<Self>,
        request: Enqueue,
        now: Timestamp,
    ) -> Vec<Result<Deferred, Error>> {
        let Enqueue { tasks, repeated, .. } = request;
        let out_of_time = AtomicBool::new(false);
        let create = |task| {
            let (shared, out_of_time) = (&self, &out_of_time);
            async move {
                // Once one call has run out of time, the others would only wait as long again.
                if out_of_time.load(Ordering::Relaxed) {
                    return Err(not_tried());
                }
                shared.create(task, now, repeated, out_of_time).await
            }
        };
        futures_util::stream::iter(tasks).map(create).buffered(AT_ONCE).collect().await
    }

    async fn create(
        &self,
        task: NewTask,
        now: Timestamp,
        repeated: bool,
        out_of_time: &AtomicBool,
    ) -> Result<Deferred, Error> {
        let draft = Draft::of(self, &task, now)?;
        let attempt = || self.google.create_task().with_request(draft.request.clone()).send();
        let called = call(self.time_limit, attempt).await;
        match called.answer {
            Ok(_) => Ok(Deferred::new(draft.id, true)),
            Err(failure) if is_duplicate(&failure) => {
                // Looking at the task costs another call, so it is done only where a mistake would
                // do damage: a spilled payload is deleted with a duplicate, but must stay if the
                // stored task is this very one.
                let lost = called.lost || repeated;
                let is_worth_a_look =
                    lost || Attributes::spilled_in(task.spec.attributes.as_deref()).is_some();
                let created =
                    task.spec.name.is_none() || is_worth_a_look && self.is_own(&draft, lost).await;
                Ok(Deferred::new(draft.id, created))
            }
            Err(failure) => {
                out_of_time
                    .fetch_or(matches!(failure, Failure::OutOfTime { .. }), Ordering::Relaxed);
                let (asked, target) = (self.asked_to_create(&task), &self.target);
                Err(not_stored(
                    Sent { asked, target, task: &task, now, lost: called.lost },
                    failure,
                ))
            }
        }
    }

    /// Whether the task that has the name was stored by this very call, or by the same call made
    /// before.
    ///
    /// If an answer was lost and the task is over already, as is usual for tasks that are due at
    /// once, the task counts as this call's: the name was free a moment ago, or the lost answer
    /// would have been another.
    async fn is_own(&self, draft: &Draft, lost: bool) -> bool {
        let name = draft.request.task.as_ref().map_or("", |task| task.name.as_str());
        match call(self.time_limit, || self.google.get_task().set_name(name).send()).await.answer {
            Ok(stored) => Mark::of_task(&stored).is_some_and(|mark| mark.call == draft.mark.call),
            Err(failure) => {
                if !is_missing(&failure) {
                    log::say(|| {
                        tracing::debug!(?failure, "cannot look at the task that has the name")
                    });
                }
                lost
            }
        }
    }

    pub(super) fn asked_to_create<'a>(&'a self, task: &'a NewTask) -> Asked<'a> {
        Asked {
            place: &self.place,
            queue: Some(&task.spec.queue),
            permission: "cloudtasks.tasks.create",
            role: "roles/cloudtasks.enqueuer",
        }
    }
}

fn not_tried() -> Error {
    let problem = "was not asked to store the task, as it gave no answer for earlier tasks; the \
                   task is not stored";
    failed(problem.to_owned(), "the time limit passed for other tasks of the call".into())
}
