//! Reading stored tasks and acting on one of them: Google knows tasks by queue and name, callers by
//! their ids.

use std::collections::{BTreeMap, HashSet};

use futures_util::{StreamExt, TryStreamExt};
use google_cloud_tasks_v2::model::Task;
use google_cloud_tasks_v2::model::task::View;

use super::call::{Failure, call, is_denied, is_missing};
use super::error::{Asked, refused};
use super::name::{id_of, is_unnamed, last_part, of_unnamed, queue_of_letters, queue_of_tasks};
use super::record::{record, summary};
use super::request::{Mark, is_letter, is_letter_of};
use super::shared::Shared;
use super::token::Tokens;
use crate::backend::record::error_text;
use crate::backend::{List, RouteStats, Stats, TaskRecord, TaskState};
use crate::error::Error;
use crate::queue::QueueName;
use crate::task::{Route, TaskId, TaskName};
use crate::time::Timestamp;

/// The number of simultaneous calls.
pub(super) const AT_ONCE: usize = 16;

/// The number of tasks on one page without bodies: Google's maximum.
const PAGE: i32 = 1000;

/// The number of tasks on one page with bodies, each of which may have a mebibyte.
const PAGE_WITH_BODIES: i32 = 50;

/// The statistics of queues and routes.
pub(super) type Lines = BTreeMap<(QueueName, Route), Stats>;

/// The place of a stored task.
pub(super) struct Found {
    queue: QueueName,
    /// The full name of the task.
    pub(super) resource: String,
    pub(super) is_letter: bool,
    /// Whether an attempt has begun: only then can a copy of the task exist.
    was_dispatched: bool,
}

/// Returns the first task found by concurrent look-ups.
async fn first_of<F>(found: impl Iterator<Item = F>) -> Result<Option<Found>, Error>
where
    F: Future<Output = Result<Option<Found>, Error>>,
{
    let found = futures_util::stream::iter(found)
        .buffer_unordered(AT_ONCE)
        .try_filter_map(|found| async { Ok(found) });
    std::pin::pin!(found).try_next().await
}

impl Shared {
    pub(super) async fn get(&self, id: TaskId) -> Result<Option<TaskRecord>, Error> {
        match self.locate(id).await? {
            Some(found) => self.read(&found.queue, &found.resource).await,
            None => Ok(None),
        }
    }

    /// Returns the task that has this name in this queue: Google knows it by both. Google does not
    /// know a dead letter by the name of its task, so a search for one reads the headers of all
    /// letters of the queue.
    pub(super) async fn find(
        &self,
        queue: QueueName,
        name: &TaskName,
    ) -> Result<Option<TaskRecord>, Error> {
        let resource = self.place.task(&queue, name.as_str());
        let found = self.read(&queue, &resource).await?;
        // The name at Google of an unnamed task is not a task name.
        let found = found.filter(|record| record.spec.name.as_ref() == Some(name));
        if found.is_some() || !self.keeps_letters {
            return Ok(found);
        }
        let Ok(letters) = queue_of_letters(&queue) else { return Ok(None) };
        let mut pages = self.pages(&letters, View::Basic);
        while let Some(tasks) = pages.next().await? {
            if let Some(letter) = tasks.iter().find(|task| is_letter_of(task, name)) {
                return self.read(&letters, &letter.name).await;
            }
        }
        Ok(None)
    }

    async fn read(&self, queue: &QueueName, resource: &str) -> Result<Option<TaskRecord>, Error> {
        let attempt =
            || self.google.get_task().set_name(resource).set_response_view(View::Full).send();
        match call(self.time_limit, attempt).await.answer {
            Ok(task) => Ok(record(queue, &task)),
            Err(failure) if is_missing(&failure) => Ok(None),
            Err(failure) => Err(refused(self.asked_to_read("cloudtasks.tasks.fullView"), failure)),
        }
    }

    /// Returns a page in the order of the ids. Google keeps another order, so all tasks of the
    /// queues are read, but only as many held in memory as the page has.
    pub(super) async fn list(&self, request: &List) -> Result<Vec<TaskRecord>, Error> {
        let filter = &request.filter;
        let mut page = BTreeMap::new();
        for queue in self.queue_names(filter.queue.as_ref()).await? {
            let mut pages = self.pages(&queue, View::Full);
            while let Some(tasks) = pages.next().await? {
                let records =
                    tasks.iter().filter_map(|task| record(&queue, task)).filter(|record| {
                        let is_later = |after| {
                            if request.newest_first {
                                record.spec.id < after
                            } else {
                                record.spec.id > after
                            }
                        };
                        request.after.is_none_or(is_later)
                            && filter.kind.as_ref().is_none_or(|kind| record.spec.kind == *kind)
                            && filter.state.is_none_or(|state| record.state == state)
                    });
                for mut record in records {
                    // Google returns whole bodies, which hold more than payloads.
                    record.payload.take_if(|_| !request.with_payloads);
                    page.insert(record.spec.id, record);
                    if page.len() > request.limit {
                        _ = if request.newest_first { page.pop_first() } else { page.pop_last() };
                    }
                }
            }
        }
        let page = page.into_values();
        Ok(if request.newest_first { page.rev().collect() } else { page.collect() })
    }

    /// Returns those of `ids` under which a stored task was deferred. All queues are read once,
    /// without bodies: the header of each task has its id in every version.
    pub(super) async fn stored(&self, mut ids: Vec<TaskId>) -> Result<Vec<TaskId>, Error> {
        let wanted: HashSet<_> = ids.iter().copied().collect();
        let mut found = HashSet::new();
        let mut queues = self.queue_names(None).await?;
        // A queue's dead letters are read after the queue, and the queue once more: a letter may be
        // replayed meanwhile.
        let again: Vec<_> = queues
            .iter()
            .filter_map(queue_of_tasks)
            .filter(|queue| queues.contains(queue))
            .collect();
        queues.extend(again);
        for queue in queues {
            if found.len() == wanted.len() {
                break;
            }
            let mut pages = self.pages(&queue, View::Basic);
            while let Some(tasks) = pages.next().await? {
                found.extend(
                    tasks.iter().filter_map(Mark::call_of_task).filter(|id| wanted.contains(id)),
                );
            }
        }
        ids.retain(|id| found.contains(id));
        Ok(ids)
    }

    /// Counts this crate's tasks in each state; the bodies are not read.
    pub(super) async fn stats(&self, now: Timestamp) -> Result<Vec<RouteStats>, Error> {
        let mut lines = Lines::new();
        for queue in self.queue_names(None).await? {
            let pages = &mut self.pages(&queue, View::Basic);
            count(pages, &queue, now, &mut lines).await?;
        }
        Ok(by_route(lines))
    }

    /// Returns the number of tasks in a queue, whoever stored them.
    pub(super) async fn count(&self, queue: &QueueName) -> Result<u64, Error> {
        let (mut pages, mut count) = (self.pages(queue, View::Basic), 0);
        while let Some(tasks) = pages.next().await? {
            count += tasks.len() as u64;
        }
        Ok(count)
    }

    /// Deletes a task and returns whether it was stored. A delivered task may have a copy beside
    /// it, if the answer of the delivery was lost, and a dead letter a task that it was replayed
    /// as: all are deleted.
    pub(super) async fn delete(&self, id: TaskId) -> Result<bool, Error> {
        let first = self.locate(id).await?;
        let mut all: Vec<_> = first.iter().map(|found| found.resource.clone()).collect();
        if first.is_some_and(|found| is_unnamed(id) && !found.is_alone(id)) {
            let queues = self.queue_names(None).await?;
            all.extend(self.locate_all(id, queues).await?.into_iter().map(|found| found.resource));
            all.sort();
            all.dedup();
        }
        let mut was_stored = false;
        for resource in all {
            was_stored |= self.delete_task(resource).await?;
        }
        Ok(was_stored)
    }

    pub(super) async fn delete_task(&self, resource: String) -> Result<bool, Error> {
        let called =
            call(self.time_limit, || self.google.delete_task().set_name(&resource).send()).await;
        match called.answer {
            Ok(_) => Ok(true),
            // The task existed: an earlier attempt, whose answer was lost, has deleted it.
            Err(failure) if is_missing(&failure) => Ok(called.lost),
            Err(failure) => Err(refused(self.asked_to_write("cloudtasks.tasks.delete"), failure)),
        }
    }

    pub(super) async fn run_now(&self, id: TaskId) -> Result<(), Error> {
        let missing = Error::NoSuchTask { id, problem: error_text::NOT_STORED };
        let Some(found) = self.locate(id).await? else { return Err(missing) };
        if found.is_letter {
            return Err(Error::NoSuchTask { id, problem: error_text::DEAD });
        }
        if found.state(self).await? == Some(TaskState::Leased) {
            return Err(Error::NoSuchTask { id, problem: error_text::RUNNING });
        }
        match call(self.time_limit, || self.google.run_task().set_name(&found.resource).send())
            .await
            .answer
        {
            Ok(_) => Ok(()),
            Err(failure) if is_missing(&failure) => Err(missing),
            Err(failure) => Err(refused(self.asked_to_write("cloudtasks.tasks.run"), failure)),
        }
    }

    /// Returns the place of the task with this id. An unnamed task is looked up in each queue. The
    /// name of a named task and the number of a copy do not follow from the id: the names of all
    /// tasks are read until one matches.
    pub(super) async fn locate(&self, id: TaskId) -> Result<Option<Found>, Error> {
        let queues = self.queue_names(None).await?;
        if is_unnamed(id) {
            let found = queues.clone().into_iter().map(|queue| self.locate_unnamed(queue, id));
            if let Some(found) = first_of(found).await? {
                return Ok(Some(found));
            }
        }
        first_of(queues.into_iter().map(|queue| self.locate_named(queue, id))).await
    }

    /// Returns all tasks with this id in these queues: the task, its copies, and its dead letter.
    pub(super) async fn locate_all(
        &self,
        id: TaskId,
        queues: Vec<QueueName>,
    ) -> Result<Vec<Found>, Error> {
        let mut all = Vec::new();
        for queue in queues {
            let mut pages = self.pages(&queue, View::Basic);
            while let Some(tasks) = pages.next().await? {
                let of_id = tasks.into_iter().filter(|task| id_at(&queue, task) == Some(id));
                all.extend(of_id.map(|task| Found::of(queue.clone(), task)));
            }
        }
        Ok(all)
    }

    async fn locate_unnamed(&self, queue: QueueName, id: TaskId) -> Result<Option<Found>, Error> {
        let resource = self.place.task(&queue, &of_unnamed(id));
        match call(self.time_limit, || self.google.get_task().set_name(&resource).send())
            .await
            .answer
        {
            Ok(task) => Ok(Some(Found { resource, ..Found::of(queue, task) })),
            Err(failure) if is_missing(&failure) => Ok(None),
            Err(failure) => Err(refused(self.asked_to_read("cloudtasks.tasks.get"), failure)),
        }
    }

    async fn locate_named(&self, queue: QueueName, id: TaskId) -> Result<Option<Found>, Error> {
        let mut pages = self.pages(&queue, View::Basic);
        while let Some(tasks) = pages.next().await? {
            if let Some(task) = tasks.into_iter().find(|task| id_at(&queue, task) == Some(id)) {
                return Ok(Some(Found::of(queue, task)));
            }
        }
        Ok(None)
    }

    /// Returns the selected queues: this one with its dead letters, or all, by name.
    pub(super) async fn queue_names(
        &self,
        only: Option<&QueueName>,
    ) -> Result<Vec<QueueName>, Error> {
        match only {
            Some(queue) => {
                let letters = queue_of_letters(queue).ok().filter(|_| self.keeps_letters);
                Ok(std::iter::once(queue.clone()).chain(letters).collect())
            }
            None => Ok(self.queues().await?.into_iter().map(|queue| queue.name).collect()),
        }
    }

    pub(super) fn pages<'a>(&'a self, queue: &QueueName, view: View) -> Pages<'a> {
        let parent = self.place.queue(queue);
        Pages { shared: self, parent, view, tokens: Tokens::default(), is_denied: false }
    }

    pub(super) fn asked_to_read(&self, permission: &'static str) -> Asked<'_> {
        Asked {
            place: &self.place,
            queue: None,
            permission,
            role: "roles/cloudtasks.viewer` and `roles/cloudtasks.enqueuer",
        }
    }

    fn asked_to_write(&self, permission: &'static str) -> Asked<'_> {
        Asked {
            place: &self.place,
            queue: None,
            permission,
            role: "roles/cloudtasks.taskRunner` or `roles/cloudtasks.taskDeleter",
        }
    }
}

/// Adds the tasks of a queue to the statistics.
pub(super) async fn count(
    pages: &mut Pages<'_>,
    queue: &QueueName,
    now: Timestamp,
    lines: &mut Lines,
) -> Result<(), Error> {
    while let Some(tasks) = pages.next().await? {
        for task in tasks.iter().filter_map(summary) {
            let is_dead = task.state == TaskState::Dead;
            let of = queue_of_tasks(queue).filter(|_| is_dead).unwrap_or_else(|| queue.clone());
            let stats = lines.entry((of, task.route)).or_default();
            match task.state {
                TaskState::Dead => stats.dead += 1,
                TaskState::Leased => stats.leased += 1,
                TaskState::Scheduled => {
                    stats.scheduled += 1;
                    stats.due += u64::from(task.schedule_time <= now);
                    let earliest = stats.oldest_due.into_iter().chain([task.schedule_time]).min();
                    stats.oldest_due = earliest;
                }
            }
        }
    }
    Ok(())
}

/// Returns the lines of the statistics.
pub(super) fn by_route(lines: Lines) -> Vec<RouteStats> {
    let line = |((queue, route), stats)| RouteStats::new(queue, route, stats);
    lines.into_iter().map(line).collect()
}

/// Returns the id under which a stored task is shown. A dead letter is named after the call that
/// stored its task, and a task whose body could not be opened has its id only in its mark.
fn id_at(queue: &QueueName, task: &Task) -> Option<TaskId> {
    if is_letter(task) {
        Mark::call_of_task(task)
    } else {
        Some(id_of(queue, last_part(&task.name)))
    }
}

impl Found {
    fn of(queue: QueueName, task: Task) -> Self {
        Self {
            queue,
            is_letter: is_letter(&task),
            was_dispatched: task.dispatch_count > 0,
            resource: task.name,
        }
    }

    /// Whether nothing else can have the id: only the task as it was deferred, not yet attempted,
    /// is sure to have neither a copy nor a dead letter.
    pub(super) fn is_alone(&self, id: TaskId) -> bool {
        let is_original = last_part(&self.resource) == of_unnamed(id);
        is_original && !self.is_letter && !self.was_dispatched
    }

    pub(super) async fn state(&self, shared: &Shared) -> Result<Option<TaskState>, Error> {
        match call(shared.time_limit, || shared.google.get_task().set_name(&self.resource).send())
            .await
            .answer
        {
            Ok(task) => Ok(summary(&task).map(|summary| summary.state)),
            Err(failure) if is_missing(&failure) => Ok(None),
            Err(failure) => Err(refused(shared.asked_to_read("cloudtasks.tasks.get"), failure)),
        }
    }
}

/// The tasks of a queue, page by page.
pub(super) struct Pages<'a> {
    shared: &'a Shared,
    parent: String,
    view: View,
    tokens: Tokens,
    /// Whether the last page failed because this program may not read it.
    pub(super) is_denied: bool,
}

impl Pages<'_> {
    /// Returns the next page; `None` after the last. A queue that does not exist has no pages.
    pub(super) async fn next(&mut self) -> Result<Option<Vec<Task>>, Error> {
        let Some(token) = self.tokens.next() else { return Ok(None) };
        let google = &self.shared.google;
        let size = if self.view == View::Full { PAGE_WITH_BODIES } else { PAGE };
        let attempt = || {
            let list = google
                .list_tasks()
                .set_parent(&self.parent)
                .set_page_token(token)
                .set_page_size(size);
            list.set_response_view(self.view.clone()).send()
        };
        match call(self.shared.time_limit, attempt).await.answer {
            Ok(page) => {
                self.tokens.advance(page.next_page_token, "tasks")?;
                Ok(Some(page.tasks))
            }
            Err(failure) if is_missing(&failure) => {
                self.tokens.end();
                Ok(None)
            }
            Err(failure) => {
                self.is_denied = is_denied(&failure);
                Err(self.refused(failure))
            }
        }
    }

    fn refused(&self, failure: Failure) -> Error {
        let permission = match self.view {
            View::Full => "cloudtasks.tasks.list` and `cloudtasks.tasks.fullView",
            _ => "cloudtasks.tasks.list",
        };
        refused(self.shared.asked_to_read(permission), failure)
    }
}
