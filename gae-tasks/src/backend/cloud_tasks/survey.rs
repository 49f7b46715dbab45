//! What a check before a deploy asks: the routes of the queues that may be read, and some tasks of
//! each with their bodies, which need a permission of their own.

use std::collections::HashMap;

use futures_util::StreamExt;
use google_cloud_tasks_v2::model::task::View;

use super::call::{call, is_denied, is_missing};
use super::error::refused;
use super::name::queue_of_letters;
use super::read::{AT_ONCE, Lines, by_route, count};
use super::record::{record, summary};
use super::shared::Shared;
use crate::backend::{Sample, Sampled, Surveyed, TaskRecord, TaskState, UnreadQueue};
use crate::error::Error;
use crate::queue::QueueName;
use crate::task::Route;
use crate::time::Timestamp;

/// What became of a task that was chosen by its header.
enum Opened {
    Task(Box<TaskRecord>),
    /// It is over.
    Gone,
    /// Its body cannot be opened.
    Closed,
    Denied(Error),
}

/// A task at Google: its queue, its full name, and its state.
type Chosen = (QueueName, String, TaskState);

impl Shared {
    /// Counts this crate's tasks as [`stats`](Self::stats) does; a queue that may not be read fails
    /// alone.
    pub(super) async fn survey(&self, now: Timestamp) -> Result<Surveyed, Error> {
        let (mut lines, mut unread) = (Lines::new(), Vec::new());
        for queue in self.queue_names(None).await? {
            let mut pages = self.pages(&queue, View::Basic);
            match count(&mut pages, &queue, now, &mut lines).await {
                Err(error) if pages.is_denied => {
                    unread.push(UnreadQueue::new(queue, error.to_string()));
                }
                counted => counted?,
            }
        }
        Ok(Surveyed { lines: by_route(lines), unread })
    }

    /// Chooses tasks by their headers, and then reads these tasks only.
    pub(super) async fn sample(
        &self,
        request: &Sample,
    ) -> Result<Result<Vec<Sampled>, UnreadQueue>, Error> {
        let mut sampled = Vec::new();
        let chosen = match self.choose(request).await? {
            Ok(chosen) => chosen,
            Err(unread) => return Ok(Err(unread)),
        };
        for chosen in chosen {
            match self.open_all(chosen, request.bytes).await? {
                Ok(of_route) => sampled.push(of_route),
                Err(denied) => {
                    let unread = UnreadQueue::new(request.queue.clone(), denied.to_string());
                    return Ok(Err(unread));
                }
            }
        }
        Ok(Ok(sampled))
    }

    /// Returns tasks of each route: of the queue first, then its dead letters.
    async fn choose(
        &self,
        request: &Sample,
    ) -> Result<Result<Vec<Vec<Chosen>>, UnreadQueue>, Error> {
        let places: HashMap<&Route, usize> = request.routes.iter().zip(0..).collect();
        let mut chosen: Vec<Vec<Chosen>> = vec![Vec::new(); request.routes.len()];
        let letters = queue_of_letters(&request.queue).ok();
        for queue in std::iter::once(request.queue.clone()).chain(letters) {
            let mut pages = self.pages(&queue, View::Basic);
            while chosen.iter().any(|of_route| of_route.len() < request.limit) {
                let page = match pages.next().await {
                    Err(error) if pages.is_denied => {
                        return Ok(Err(UnreadQueue::new(queue, error.to_string())));
                    }
                    page => page?,
                };
                let Some(tasks) = page else { break };
                for task in &tasks {
                    let Some(summary) = summary(task) else { continue };
                    let Some(place) = places.get(&summary.route) else { continue };
                    if chosen[*place].len() < request.limit {
                        chosen[*place].push((queue.clone(), task.name.clone(), summary.state));
                    }
                }
            }
        }
        Ok(Ok(chosen))
    }

    /// Reads tasks until there are as many bytes of payloads.
    async fn open_all(
        &self,
        chosen: Vec<Chosen>,
        bytes: usize,
    ) -> Result<Result<Sampled, Error>, Error> {
        let mut sampled = Sampled::default();
        let opened = chosen.into_iter().map(async |(queue, resource, state)| {
            self.open(&queue, &resource).await.map(|opened| (opened, state))
        });
        let mut opened = std::pin::pin!(futures_util::stream::iter(opened).buffered(AT_ONCE));
        while sampled.bytes() < bytes
            && let Some(next) = opened.next().await
        {
            match next? {
                (Opened::Task(record), _) => sampled.records.push(*record),
                (Opened::Gone, _) => {}
                (Opened::Closed, state) => sampled.unreadable.push(state),
                (Opened::Denied(error), _) => return Ok(Err(error)),
            }
        }
        Ok(Ok(sampled))
    }

    async fn open(&self, queue: &QueueName, resource: &str) -> Result<Opened, Error> {
        const PERMISSIONS: &str = "cloudtasks.tasks.get` and `cloudtasks.tasks.fullView";
        let attempt =
            || self.google.get_task().set_name(resource).set_response_view(View::Full).send();
        match call(self.time_limit, attempt).await.answer {
            Ok(task) => Ok(record(queue, &task)
                .map_or(Opened::Closed, |record| Opened::Task(Box::new(record)))),
            Err(failure) if is_missing(&failure) => Ok(Opened::Gone),
            Err(failure) => {
                let denied = is_denied(&failure);
                let error = refused(self.asked_to_read(PERMISSIONS), failure);
                if denied { Ok(Opened::Denied(error)) } else { Err(error) }
            }
        }
    }
}
