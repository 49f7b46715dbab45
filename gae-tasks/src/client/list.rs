//! Looking at stored tasks, page by page.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use super::Client;
use crate::backend::{BoxFuture, List, TaskFilter, TaskRecord};
use crate::error::Error;
use crate::task::TaskId;

/// Most tasks of one page of [`Client::list`].
pub(super) const MAX_PAGE: usize = 1000;

impl Client {
    /// A page of stored tasks: `.await` it. Up to `limit` (at most 1,000) of those that `filter`
    /// means, in the order they were deferred, after the task `after`: the last one of the page
    /// before. [`newest_first`](ListTasks::newest_first) turns the order round; payloads are read
    /// [only if asked for](ListTasks::with_payloads).
    ///
    /// # Errors
    /// The `.await` fails with [`Error::Storage`].
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), gae_tasks::Error> {
    /// use gae_tasks::{Client, TaskFilter, deferred};
    ///
    /// #[deferred]
    /// async fn greet(name: String) {}
    ///
    /// let tasks = Client::open("memory:").await?;
    /// let first = greet::defer("Ada").on(&tasks).await?;
    /// let last = greet::defer("Grace").on(&tasks).await?;
    ///
    /// let page = tasks.list(TaskFilter::new(), None, 1).newest_first().await?;
    /// assert_eq!((page[0].spec.id, &page[0].payload), (last.id, &None));
    /// let page = tasks.list(TaskFilter::new(), Some(last.id), 1).newest_first().with_payloads().await?;
    /// assert_eq!((page[0].spec.id, page[0].payload.is_some()), (first.id, true));
    /// # Ok(())
    /// # }
    /// ```
    pub fn list(&self, filter: TaskFilter, after: Option<TaskId>, limit: usize) -> ListTasks {
        ListTasks {
            client: self.clone(),
            request: List::new(filter, limit.min(MAX_PAGE)).after(after),
        }
    }
}

/// A page of stored tasks to be read: `.await` it. See [`Client::list`].
#[must_use = "nothing is read until this is awaited"]
#[derive(Debug)]
pub struct ListTasks {
    client: Client,
    request: List,
}

impl ListTasks {
    /// The task that was deferred last comes first; the page before ends with the oldest of its
    /// tasks.
    pub fn newest_first(mut self) -> Self {
        self.request = self.request.newest_first();
        self
    }

    /// Reads the payloads too, which may be large: else [`TaskRecord::payload`] is `None`.
    pub fn with_payloads(mut self) -> Self {
        self.request = self.request.with_payloads();
        self
    }
}

impl IntoFuture for ListTasks {
    type Output = Result<Vec<TaskRecord>, Error>;
    type IntoFuture = ListTasksFuture;

    fn into_future(self) -> ListTasksFuture {
        let Self { client, request } = self;
        ListTasksFuture(Box::pin(async move { client.backend().list(request).await }))
    }
}

/// A page of stored tasks on its way: what `.await` on a [`ListTasks`] polls.
#[must_use = "futures do nothing unless awaited"]
pub struct ListTasksFuture(BoxFuture<'static, Result<Vec<TaskRecord>, Error>>);

impl Future for ListTasksFuture {
    type Output = Result<Vec<TaskRecord>, Error>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.0.as_mut().poll(cx)
    }
}

impl fmt::Debug for ListTasksFuture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ListTasksFuture")
    }
}
