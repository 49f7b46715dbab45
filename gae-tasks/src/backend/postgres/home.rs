//! What transactions of the application need of a client's own connections.

use std::sync::Arc;
use std::time::Duration;

use sqlx::{Row, SqlStr};
use tokio::runtime::Handle;
use uuid::Uuid;

use super::catalogue::Lanes;
use super::error::{Fault, NAME};
use super::fates;
use super::in_tx;
use super::patience::again;
use super::shared::Shared;
use super::task::id;
use crate::backend::NewTask;
use crate::backend::home::{PostgresSchema, Prepared, Reply};
use crate::backend::lifecycle;
use crate::backend::runtime;
use crate::queue::QueueName;
use crate::task::{TaskId, TaskName};
use crate::time::Timestamp;

/// A client's own connections.
#[derive(Debug)]
pub(super) struct Connections {
    shared: Arc<Shared>,
    runtime: Handle,
}

impl Connections {
    pub(super) fn new(shared: &Arc<Shared>, runtime: &Handle) -> Self {
        Self { shared: Arc::clone(shared), runtime: runtime.clone() }
    }

    /// Runs `work` on the threads of the backend.
    fn run<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T, Fault>> + Send + 'static,
    ) -> Reply<T> {
        let shared = Arc::clone(&self.shared);
        Box::pin(runtime::run(&self.runtime, NAME, shared.explained(work)))
    }
}

impl PostgresSchema for Connections {
    fn place(&self) -> &str {
        self.shared.database.place()
    }

    fn schema(&self) -> &str {
        self.shared.database.schema()
    }

    fn sql(&self, text: &'static str) -> SqlStr {
        self.shared.database.sql(text)
    }

    fn identity(&self) -> i64 {
        self.shared.identity
    }

    fn is_pooled(&self) -> bool {
        self.shared.database.is_pooled()
    }

    fn prepare(&self, tasks: Vec<NewTask>) -> Reply<Prepared> {
        // Nearly always all is known, and nobody else is asked.
        if let Some(lanes) = self.shared.catalogue.known_lanes_of(&tasks) {
            return Box::pin(std::future::ready(Ok(prepared(tasks, lanes))));
        }
        let shared = Arc::clone(&self.shared);
        self.run(async move {
            let lanes = {
                let tasks: Vec<_> = tasks.iter().collect();
                let find = || shared.catalogue.lanes_of(&shared.database, &tasks);
                again(&shared.database, find).await?
            };
            Ok(prepared(tasks, lanes))
        })
    }

    fn doubt(&self) {
        self.shared.database.suspect();
    }

    fn holders(&self, names: Vec<(QueueName, TaskName)>) -> Reply<Vec<Option<TaskId>>> {
        let shared = Arc::clone(&self.shared);
        self.run(async move {
            let (queues, names): (Vec<_>, Vec<_>) = names.into_iter().unzip();
            again(&shared.database, || holders(&shared, &queues, &names)).await
        })
    }

    fn blocks_names(&self, queue: &QueueName) -> Duration {
        let ended = Timestamp::from_micros(0);
        let config = self.shared.catalogue.config(queue).ok();
        lifecycle::tombstone(config.as_ref(), ended).since(ended)
    }

    fn wake_after(&self, transaction: u64) {
        fates::wake_after(&self.shared, &self.runtime, transaction);
    }
}

fn prepared(tasks: Vec<NewTask>, lanes: Lanes) -> Prepared {
    Prepared { tasks: tasks.into_iter().zip(lanes.ids).collect(), server: lanes.epoch.started }
}

/// Returns the holders of names, each of the queue in its place.
async fn holders(
    shared: &Shared,
    queues: &[QueueName],
    names: &[TaskName],
) -> Result<Vec<Option<TaskId>>, Fault> {
    let mut connection = shared.database.connection().await?;
    let query = shared
        .database
        .prepared(in_tx::HOLDERS)
        .bind(queues.iter().map(QueueName::as_str).collect::<Vec<_>>())
        .bind(names.iter().map(TaskName::as_str).collect::<Vec<_>>());
    let rows = query.fetch_all(&mut *connection).await?;
    rows.iter().map(|row| Ok(row.try_get::<Option<Uuid>, _>(0)?.map(id))).collect()
}
