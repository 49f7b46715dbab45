//! Lists stored tasks, page by page.

use super::Client;
use super::future::boxed_future;
use crate::backend::{List, TaskFilter, TaskRecord};
use crate::error::Error;
use crate::task::TaskId;

/// The most tasks in one page of [`Client::list`].
pub(super) const MAX_PAGE: usize = 1000;

impl Client {
    /// Lists a page of stored tasks: `.await` it. The page has up to `limit` (at most 1,000) tasks
    /// that match `filter`, in the order in which they were deferred, starting after the task
    /// `after`: the last task of the previous page. [`newest_first`](ListTasks::newest_first)
    /// reverses the order; payloads are read [only on request](ListTasks::with_payloads).
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
    /// let page = tasks.list(TaskFilter::new(), Some(last.id), 1).newest_first();
    /// let page = page.with_payloads().await?;
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

/// A request for a page of stored tasks: `.await` it. See [`Client::list`].
#[must_use = "nothing is read until this is awaited"]
#[derive(Debug)]
pub struct ListTasks {
    client: Client,
    request: List,
}

impl ListTasks {
    /// Lists the tasks from the newest to the oldest; the next page starts after the oldest task of
    /// the page.
    pub fn newest_first(mut self) -> Self {
        self.request = self.request.newest_first();
        self
    }

    /// Reads the payloads too, which may be large; otherwise [`TaskRecord::payload`] is `None`.
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
        ListTasksFuture(Box::pin(async move {
            let mut records = client.backend().list(request).await?;
            client.complete(&mut records).await?;
            Ok(records)
        }))
    }
}

boxed_future! {
    /// The future of a [`ListTasks`].
    ListTasksFuture -> Result<Vec<TaskRecord>, Error>
}
