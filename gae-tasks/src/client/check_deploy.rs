//! Compares this program with the tasks that are stored, before it takes the place of another.

mod judge;
mod report;
mod spilled;
mod text;

use std::collections::BTreeMap;

use self::judge::{Stored, Values, judge_route, judge_values};
pub use self::report::{DeployReport, DeployRoute, DeployValues, DeployVerdict};
use self::spilled::Loading;
use super::Client;
use super::future::boxed_future;
use crate::backend::{Sample, UnreadQueue};
use crate::error::Error;
use crate::queue::QueueName;

/// How many payloads of a route are read, if the caller does not say.
const VALUES: usize = 1_000;

/// How many bytes of payloads of a route are read. All of them are in memory at once.
const BYTES: usize = 16 * 1024 * 1024;

/// How many routes of a queue are read at once.
const ROUTES: usize = 16;

impl Client {
    /// Compares this program with the tasks that are stored, by route and by value: which of them
    /// it will run, which it will read by name or by an upgrade, and which it will leave waiting,
    /// each with the reason. `.await` returns a [`DeployReport`].
    ///
    /// Run the new version of a program with this call against the live queue before that version
    /// takes over. Build the client like that of the new version: with its registry and its state.
    /// Nothing is leased, changed or run. Workers and callers may go on meanwhile.
    ///
    /// - **By route.** All tasks are counted, as by [`stats_by_route`](Self::stats_by_route), and
    ///   their schemas are compared with those of this program's functions.
    /// - **By value.** Up to 1,000 payloads of each route, and about 16 MiB, are read as the
    ///   function would read them: refused tasks first, then others that wait, those that run, and
    ///   dead letters. A value may not fit where its schema does: a number that is too large, a
    ///   variant that is gone, a text that a type refuses. Upgrade functions are called; the
    ///   functions of the tasks are not. [`values`](CheckDeploy::values) sets the number. Payloads
    ///   in a payload store are loaded from that of the client, within the same limits and, for the
    ///   whole check, a minute; of those that are not, the report says
    ///   [how many and why](DeployValues::unread). A store that fails or takes longer is asked no
    ///   more, and the report is [not safe](DeployValues::store_failed). A client without the store
    ///   that a payload is in would not run the task, so that payload does not fit.
    ///
    /// On Cloud Tasks, each payload is a call, and so is each thousand tasks that are counted. The
    /// service account needs the permissions `cloudtasks.queues.list`, `cloudtasks.tasks.list`,
    /// `cloudtasks.tasks.get` and, as payloads carry their schemas, `cloudtasks.tasks.fullView`.
    /// Queues that it may not read are [named](DeployReport::unread) in the report.
    ///
    /// # Errors
    /// The `.await` fails with [`Error::Storage`] if the backend does not answer.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), gae_tasks::Error> {
    /// use gae_tasks::{Client, Registry, deferred};
    ///
    /// #[deferred(queue = "emails")]
    /// async fn send_welcome(user_id: u64) {}
    ///
    /// mod before {
    ///     #[gae_tasks::deferred(queue = "emails")]
    ///     pub(crate) async fn send_goodbye(user_id: u64) {}
    /// }
    ///
    /// // The function `send_goodbye` is gone.
    /// let registry = Registry::new().with::<send_welcome>();
    /// let tasks = Client::builder().registry(registry).open("memory:").await?;
    /// send_welcome::defer(42).on(&tasks).await?;
    /// assert!(tasks.check_deploy().await?.is_safe());
    ///
    /// before::send_goodbye::defer(42).on(&tasks).await?;
    /// let report = tasks.check_deploy().await?;
    /// assert_eq!((report.is_safe(), report.stranded()), (false, 1));
    /// println!("{report}");
    /// # Ok(())
    /// # }
    /// ```
    pub fn check_deploy(&self) -> CheckDeploy {
        CheckDeploy { client: self.clone(), values: VALUES }
    }
}

/// A check before a deploy: `.await` it. See [`Client::check_deploy`].
#[must_use = "nothing is checked until this is awaited"]
#[derive(Debug)]
pub struct CheckDeploy {
    client: Client,
    values: usize,
}

impl CheckDeploy {
    /// Sets how many payloads of each route are read at most: 1,000 by default, 0 for none.
    ///
    /// Where none is read, a route is judged by its schema alone, in which no type says which of
    /// its fields it needs: a new field without `#[serde(default)]` is found when the first payload
    /// is read.
    pub fn values(mut self, most: usize) -> Self {
        self.values = most;
        self
    }

    async fn check(self) -> Result<DeployReport, Error> {
        let backend = self.client.backend();
        let surveyed = backend.survey(self.client.now()).await?;
        let shapes = surveyed.lines.iter().map(|line| line.route.shape()).collect();
        let schemas = backend.schemas(shapes).await?;
        let mut queues: BTreeMap<QueueName, Vec<(DeployRoute, Stored)>> = BTreeMap::new();
        for (line, schema) in surveyed.lines.into_iter().zip(schemas) {
            let queue = line.queue.clone();
            queues.entry(queue).or_default().push(judge_route(&self.client, line, schema));
        }
        let mut report = DeployReport { routes: Vec::new(), unread: surveyed.unread };
        let mut loading = Loading::new();
        for (queue, mut routes) in queues {
            let unread = self.read_values(&queue, &mut routes, &mut loading).await?;
            report.unread.extend(unread);
            report.routes.extend(routes.into_iter().map(|(route, _)| route));
        }
        let is_stored = |route: &DeployRoute| route.stats.open() + route.stats.dead > 0;
        report.routes.retain(is_stored);
        report
            .routes
            .sort_by(|one, other| (&one.queue, &one.route).cmp(&(&other.queue, &other.route)));
        Ok(report)
    }

    /// Reads payloads of the routes of one queue; returns the queue if its payloads may not be
    /// read.
    async fn read_values(
        &self,
        queue: &QueueName,
        routes: &mut [(DeployRoute, Stored)],
        loading: &mut Loading,
    ) -> Result<Option<UnreadQueue>, Error> {
        let travels = !self.client.capabilities().pull;
        let mut wanted: Vec<_> = routes
            .iter_mut()
            .filter(|(route, _)| match route.verdict {
                DeployVerdict::Unread => travels,
                DeployVerdict::Strands { .. } => false,
                _ => self.values > 0,
            })
            .collect();
        // One payload has the schema of all payloads of its route.
        let limit = self.values.max(usize::from(travels));
        for routes in wanted.chunks_mut(ROUTES) {
            let names = routes.iter().map(|(route, _)| route.route.clone()).collect();
            let request = Sample::new(queue.clone(), names, limit, BYTES);
            match self.client.backend().sample(request).await? {
                Ok(sampled) => {
                    for ((route, stored), sampled) in routes.iter_mut().zip(&sampled) {
                        let sampled = match self.values {
                            0 => Values::Unread(sampled),
                            _ => {
                                let in_store = loading.fetch(&self.client, sampled, BYTES).await?;
                                Values::Read(sampled, in_store)
                            }
                        };
                        judge_values(route, stored, &sampled);
                        // Reading megabytes takes a while.
                        tokio::task::yield_now().await;
                    }
                }
                Err(unread) => return Ok(Some(unread)),
            }
        }
        Ok(None)
    }
}

impl IntoFuture for CheckDeploy {
    type Output = Result<DeployReport, Error>;
    type IntoFuture = CheckDeployFuture;

    fn into_future(self) -> CheckDeployFuture {
        CheckDeployFuture(Box::pin(self.check()))
    }
}

boxed_future! {
    /// The future of a [`CheckDeploy`].
    CheckDeployFuture -> Result<DeployReport, Error>
}
