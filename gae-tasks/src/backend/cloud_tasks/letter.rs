//! Dead letters at Google: each is a task in a paused queue beside the queue of its task.

use google_cloud_tasks_v2::model::Task;
use google_cloud_tasks_v2::model::task::View;

use super::call::{Failure, call, is_duplicate, is_missing};
use super::error::{Asked, failed, is_queue_missing, refused};
use super::limits::NAME;
use super::name::{queue_of_letters, queue_of_tasks};
use super::read::Found;
use super::record::letter_of;
use super::request::Draft;
use super::shared::Shared;
use crate::backend::record::{bounded, error_text};
use crate::backend::{Bury, CopyTask, DeadLetterCheck, NewTask};
use crate::envelope::letter::Letter;
use crate::envelope::{Copied, Envelope};
use crate::error::Error;
use crate::queue::QueueName;
use crate::task::{Shape, TaskId};
use crate::time::{Now, Timestamp};

impl Shared {
    /// Stores a dead letter. Its name is derived from the id and the number of its task, so a
    /// repeated call stores it once.
    pub(super) async fn bury(&self, request: Bury, now: Timestamp) -> Result<(), Error> {
        let Bury { task, attempts, first_attempt, error, number, .. } = request;
        if !self.keeps_letters {
            return Err(keeps_none());
        }
        let queue = queue_of_letters(&task.spec.queue)
            .map_err(|problem| failed(problem, "it has no queue".into()))?;
        let NewTask { spec, payload, schema, sensitive, .. } = task;
        let first_due = first_attempt.unwrap_or(now);
        let (named, copied) = (false, None);
        let envelope = Envelope { spec, named, first_due, copied, payload, schema, sensitive };
        let letter = Letter { envelope, attempts, first_attempt, died: now, error: bounded(error) };
        let letter = letter.of_copy(number);
        let request = Draft::of_letter(self, &queue, &letter)?.request;
        match call(self.time_limit, || {
            self.google.create_task().with_request(request.clone()).send()
        })
        .await
        .answer
        {
            Ok(_) => Ok(()),
            Err(failure) if is_duplicate(&failure) => Ok(()),
            Err(failure) => Err(self.not_kept(&letter.envelope.spec.queue, &queue, failure)),
        }
    }

    /// Why a dead letter of `queue` could not be kept in `letters`.
    fn not_kept(&self, queue: &QueueName, letters: &QueueName, failure: Failure) -> Error {
        match failure {
            Failure::Refused(error) if is_queue_missing(&self.target, &error) => {
                let missing = missing(queue, letters, &self.place.location);
                failed(format!("cannot keep a dead letter: {missing}"), error.into())
            }
            failure => {
                let (permission, role) = ("cloudtasks.tasks.create", "roles/cloudtasks.enqueuer");
                let queue = Some(letters);
                refused(Asked { place: &self.place, queue, permission, role }, failure)
            }
        }
    }

    /// Stores the task of a dead letter anew, and then deletes the letter. A replay that is
    /// repeated after a failure between the two steps stores no second task, because the task's
    /// name is derived from the letter's name. A body that could not be read is refused: no program
    /// would find it in an envelope of this version.
    pub(super) async fn replay(&self, id: TaskId, now: Timestamp) -> Result<(), Error> {
        let Some(found) = self.locate_letter(id).await? else {
            let is_stored = self.locate(id).await?.is_some();
            let problem = if is_stored { error_text::NOT_DEAD } else { error_text::NOT_STORED };
            return Err(Error::NoSuchTask { id, problem });
        };
        let Some(task) = self.whole(&found.resource).await? else {
            return Err(Error::NoSuchTask { id, problem: error_text::NOT_STORED });
        };
        let letter = readable(&task)?;
        let number = Copied::first_number_of_next_life(letter.number());
        let Envelope { spec, payload, schema, sensitive, .. } = letter.envelope;
        if spec.shape == Shape::UNREADABLE {
            return Err(Error::NoSuchTask { id, problem: error_text::UNREADABLE });
        }
        let task = NewTask { sensitive, ..NewTask::new(spec, payload, schema) };
        let copy = CopyTask::new(Now::At(now), task, number);
        self.copy(CopyTask { replayed: Some(now), ..copy }, now).await?;
        self.delete_task(found.resource).await.map(drop)
    }

    async fn whole(&self, resource: &str) -> Result<Option<Task>, Error> {
        let attempt =
            || self.google.get_task().set_name(resource).set_response_view(View::Full).send();
        match call(self.time_limit, attempt).await.answer {
            Ok(task) => Ok(Some(task)),
            Err(failure) if is_missing(&failure) => Ok(None),
            Err(failure) => Err(refused(self.asked_to_read("cloudtasks.tasks.fullView"), failure)),
        }
    }

    async fn locate_letter(&self, id: TaskId) -> Result<Option<Found>, Error> {
        let mut queues = self.queue_names(None).await?;
        queues.retain(|queue| queue_of_tasks(queue).is_some());
        Ok(self.locate_all(id, queues).await?.into_iter().find(|found| found.is_letter))
    }

    /// Checks that each of these queues has a queue for its dead letters.
    pub(super) async fn check_letters(
        &self,
        queues: Vec<QueueName>,
    ) -> Result<DeadLetterCheck, Error> {
        let mut check = DeadLetterCheck::default();
        let mut unknown = Vec::new();
        for queue in &queues {
            match queue_of_letters(queue) {
                Ok(letters) if !self.has_made(&letters) => unknown.push((queue, letters)),
                Ok(_) => {}
                Err(problem) => check.problems.push(problem),
            }
        }
        if unknown.is_empty() || !check.problems.is_empty() {
            return Ok(check);
        }
        let stored = self.queues().await?;
        for (queue, letters) in unknown {
            match stored.iter().find(|record| record.name == letters) {
                None => check.problems.push(missing(queue, &letters, &self.place.location)),
                Some(record) if !record.paused => check.warnings.push(format!(
                    "the queue `{letters}` is not paused: the dead letters in it are sent to the \
                     push service, which refuses them; pause it"
                )),
                Some(_) => {}
            }
        }
        Ok(check)
    }
}

fn missing(queue: &QueueName, letters: &QueueName, location: &str) -> String {
    format!(
        "the queue `{letters}` for the dead letters of `{queue}` is missing: call \
         `client.put_queue(\"{queue}\", ..)`, or `gcloud tasks queues create {letters} \
         --location={location} --max-attempts=-1 --min-backoff=3600s --max-backoff=3600s` and \
         `gcloud tasks queues pause {letters} --location={location}`"
    )
}

fn readable(task: &Task) -> Result<Letter, Error> {
    letter_of(task).ok_or(Error::Unsupported {
        backend: NAME,
        what: "a dead letter that a newer version of gae-tasks wrote",
    })
}

fn keeps_none() -> Error {
    Error::Unsupported {
        backend: NAME,
        what: "dead letters without `dead_letters=queues` in its URL",
    }
}
