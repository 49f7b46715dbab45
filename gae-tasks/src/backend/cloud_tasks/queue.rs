//! Queues: their settings in Google's terms, and actions by hand.

use std::collections::BTreeSet;
use std::time::Duration;

use google_cloud_tasks_v2::model::Queue;
use google_cloud_tasks_v2::model::queue::State;
use google_cloud_wkt::FieldMask;

use super::call::{call, is_missing};
use super::error::{Asked, refused};
use super::name::{last_part, queue_of_letters, queue_of_tasks};
use super::rates::{fields_of, google_limits, with_googles_own, with_limits};
use super::retries::{limited, unlimited, with_own_limits};
use super::shared::Shared;
use super::token::Tokens;
use crate::backend::record::Letters;
use crate::backend::{DeleteQueue, Purged, QueueRecord, ReplaceQueue};
use crate::error::Error;
use crate::queue::{QueueConfig, QueueName, RateLimits, RetryConfig};

/// The number of queues on one page: a server may answer with few if the request names no size.
const PAGE: i32 = 1000;

/// How often a dead letter is sent to the push service if its queue is not paused.
const REFUSED_EVERY: Duration = Duration::from_secs(60 * 60);

/// The fields that `put_queue` writes, limits first. Each field is named, because Google would
/// replace an unnamed zero with its default.
const RETRY_FIELDS: [&str; 5] = [
    "retryConfig.maxAttempts",
    "retryConfig.maxRetryDuration",
    "retryConfig.minBackoff",
    "retryConfig.maxBackoff",
    "retryConfig.maxDoublings",
];

impl Shared {
    /// Creates a queue, or changes how its tasks are retried and those of its limits that are set;
    /// all other settings stay.
    pub(super) async fn put_queue(
        &self,
        queue: &QueueName,
        config: &QueueConfig,
    ) -> Result<(), Error> {
        self.put_queue_of_letters(queue).await?;
        let Some(retries) = config.own_retry() else {
            // The pauses of an existing queue stay, but this crate decides when a task is given up.
            // A new queue gets this crate's default pauses: Google's own begin at 100 ms.
            let fields =
                if self.is_there(queue).await? { &RETRY_FIELDS[..2] } else { &RETRY_FIELDS[..] };
            return self.upsert(queue, config.retry(), fields, config.limits()).await;
        };
        self.upsert(queue, retries, &RETRY_FIELDS, config.limits()).await?;
        self.remember(queue.clone(), retries.clone());
        Ok(())
    }

    /// Creates a queue, or gives it exactly these retries and limits. The limits of attempts travel
    /// with the tasks of this process, which takes note of them also if the queue is stored like
    /// this.
    pub(super) async fn replace_queue(&self, request: ReplaceQueue) -> Result<(), Error> {
        let ReplaceQueue { queue, config, is_stored } = request;
        if !is_stored {
            self.put_queue_of_letters(&queue).await?;
            let limits = with_googles_own(config.limits());
            self.upsert(&queue, config.retry(), &RETRY_FIELDS, limits).await?;
        }
        match config.own_retry() {
            Some(retries) => self.remember(queue, retries.clone()),
            None => self.forget(&queue),
        }
        Ok(())
    }

    /// Creates the queue for the dead letters of `queue`, and pauses it, if letters are kept and
    /// `queue` is none for letters itself.
    async fn put_queue_of_letters(&self, queue: &QueueName) -> Result<(), Error> {
        if !self.keeps_letters || queue_of_tasks(queue).is_some() {
            return Ok(());
        }
        let letters = queue_of_letters(queue)
            .map_err(|problem| Error::Misconfigured { problems: vec![problem] })?;
        // If somebody resumes it, each letter is refused once an hour.
        let retries =
            RetryConfig::new().with_max_backoff(REFUSED_EVERY).with_min_backoff(REFUSED_EVERY);
        self.upsert(&letters, &retries, &RETRY_FIELDS, RateLimits::NONE).await?;
        self.set_paused(&letters, true).await?;
        self.remember_letters(letters);
        Ok(())
    }

    async fn upsert(
        &self,
        queue: &QueueName,
        retries: &RetryConfig,
        fields: &[&'static str],
        limits: RateLimits,
    ) -> Result<(), Error> {
        let wanted = Queue::new()
            .set_name(self.place.queue(queue))
            .set_retry_config(unlimited(retries))
            .set_or_clear_rate_limits((limits != RateLimits::NONE).then(|| google_limits(limits)));
        let fields = fields.iter().copied().chain(fields_of(limits));
        let mask = FieldMask::default().set_paths(fields);
        let attempt = || {
            self.google
                .update_queue()
                .set_queue(wanted.clone())
                .set_update_mask(mask.clone())
                .send()
        };
        let called = call(self.time_limit, attempt).await;
        called
            .answer
            .map(drop)
            .map_err(|failure| refused(self.asked_of(queue, "cloudtasks.queues.update"), failure))
    }

    async fn is_there(&self, queue: &QueueName) -> Result<bool, Error> {
        let name = self.place.queue(queue);
        match call(self.time_limit, || self.google.get_queue().set_name(&name).send()).await.answer
        {
            Ok(_) => Ok(true),
            Err(failure) if is_missing(&failure) => Ok(false),
            Err(failure) => Err(refused(self.asked_of(queue, "cloudtasks.queues.get"), failure)),
        }
    }

    pub(super) async fn set_paused(&self, queue: &QueueName, paused: bool) -> Result<(), Error> {
        let (name, permission) = (
            self.place.queue(queue),
            if paused { "cloudtasks.queues.pause" } else { "cloudtasks.queues.resume" },
        );
        let attempt = || async {
            if paused {
                self.google.pause_queue().set_name(&name).send().await
            } else {
                self.google.resume_queue().set_name(&name).send().await
            }
        };
        call(self.time_limit, attempt).await.answer.map(drop).map_err(|failure| {
            match is_missing(&failure) {
                true => Error::NoSuchQueue { queue: queue.to_string() },
                false => refused(self.asked_of(queue, permission), failure),
            }
        })
    }

    pub(super) async fn purge(&self, queue: &QueueName) -> Result<(), Error> {
        let name = self.place.queue(queue);
        let called =
            call(self.time_limit, || self.google.purge_queue().set_name(&name).send()).await;
        called
            .answer
            .map(drop)
            .map_err(|failure| refused(self.asked_of(queue, "cloudtasks.queues.purge"), failure))
    }

    /// Deletes a queue. Google deletes its tasks too, including tasks that are stored meanwhile. A
    /// queue that does not exist counts as deleted: an earlier attempt, whose answer was lost, may
    /// have deleted it.
    pub(super) async fn delete_queue(&self, request: &DeleteQueue) -> Result<Purged, Error> {
        let DeleteQueue { queue, with_tasks, .. } = request;
        let letters = queue_of_letters(queue).ok().filter(|_| self.keeps_letters);
        let tasks = self.count(queue).await?;
        let dead_letters = match &letters {
            Some(letters) => self.count(letters).await?,
            None => 0,
        };
        if tasks + dead_letters > 0 && !with_tasks {
            return Err(Error::QueueInUse { queue: queue.to_string(), tasks, dead_letters });
        }
        self.delete_whole(queue).await?;
        self.forget(queue);
        if let Some(letters) = letters {
            self.delete_whole(&letters).await?;
            self.forget_letters(&letters);
        }
        Ok(Purged::new(tasks + dead_letters, 0))
    }

    async fn delete_whole(&self, queue: &QueueName) -> Result<(), Error> {
        let name = self.place.queue(queue);
        let called =
            call(self.time_limit, || self.google.delete_queue().set_name(&name).send()).await;
        match called.answer {
            Err(failure) if !is_missing(&failure) => {
                Err(refused(self.asked_of(queue, "cloudtasks.queues.delete"), failure))
            }
            _ => Ok(()),
        }
    }

    /// Returns all queues by name.
    pub(super) async fn queues(&self) -> Result<Vec<QueueRecord>, Error> {
        let (parent, mut tokens, mut queues) =
            (self.place.to_string(), Tokens::default(), Vec::new());
        while let Some(token) = tokens.next() {
            let attempt = || {
                let list = self.google.list_queues().set_parent(&parent).set_page_token(token);
                list.set_page_size(PAGE).send()
            };
            let page = call(self.time_limit, attempt).await.answer.map_err(|failure| {
                let role = "roles/cloudtasks.viewer";
                refused(
                    Asked {
                        place: &self.place,
                        queue: None,
                        permission: "cloudtasks.queues.list",
                        role,
                    },
                    failure,
                )
            })?;
            queues.extend(page.queues.iter().filter_map(|queue| self.record_of(queue)));
            tokens.advance(page.next_page_token, "queues")?;
        }
        queues.sort_by(|a: &QueueRecord, b| a.name.cmp(&b.name));
        if self.keeps_letters {
            mark_letters(&mut queues);
        }
        Ok(queues)
    }

    /// Returns the record of a queue; `None` if its name is not valid for this crate: App Engine's
    /// old queues may have longer names.
    fn record_of(&self, queue: &Queue) -> Option<QueueRecord> {
        let name = QueueName::new(last_part(&queue.name)).ok()?;
        let stored = queue.retry_config.as_ref().map_or_else(RetryConfig::new, limited);
        let config = if stored.max_attempts().is_some() || stored.max_retry_duration().is_some() {
            // Google deletes a task that reaches these limits.
            QueueConfig::new().with_dead_letter_retention(Duration::ZERO).with_retry(stored)
        } else {
            // A queue that `put_queue` made unlimited at Google has its limits here.
            QueueConfig::new().with_retry(with_own_limits(stored, self.retries_of(&name)))
        };
        let config = with_limits(config, queue.rate_limits.as_ref());
        Some(QueueRecord {
            paused: queue.state != State::Running,
            ..QueueRecord::new(name, Some(config))
        })
    }

    pub(super) fn asked_of<'a>(
        &'a self,
        queue: &'a QueueName,
        permission: &'static str,
    ) -> Asked<'a> {
        Asked {
            place: &self.place,
            queue: Some(queue),
            permission,
            role: "roles/cloudtasks.queueAdmin",
        }
    }
}

/// Shows which queues are for the dead letters of others, and which others lack theirs.
fn mark_letters(queues: &mut [QueueRecord]) {
    let names: BTreeSet<_> = queues.iter().map(|queue| queue.name.clone()).collect();
    for queue in queues {
        queue.letters = if queue_of_tasks(&queue.name).is_some() {
            Letters::Queue
        } else if queue_of_letters(&queue.name).is_ok_and(|letters| names.contains(&letters)) {
            Letters::Kept
        } else {
            Letters::Missing
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_queue_without_a_queue_for_its_letters_is_known() {
        let record = |name: &str| QueueRecord::new(QueueName::new(name).unwrap(), None);
        let mut queues = ["a", "a-dead", "b"].map(record);
        mark_letters(&mut queues);
        let marks = queues.map(|queue| queue.letters);
        assert_eq!(marks, [Letters::Kept, Letters::Queue, Letters::Missing]);
    }
}
