//! What a check before a deploy reports about stored tasks, by route and by value, on memory and on
//! SQLite.

mod routes;
mod trouble;
mod values;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use gae_tasks::backend::memory::Memory;
use gae_tasks::backend::{Lease, Pull, Room, Routes, Settle, Settlement, Verdict};
use gae_tasks::{Client, DeployReport, DeployRoute, Now, QueueName, Registry};

/// A program from before a deploy and one from after it, on one storage.
struct Stage {
    backend: Arc<dyn Pull>,
    /// Defers; whatever it has registered, tasks of other modules can be deferred with it.
    before: Client,
    _folder: Option<tempfile::TempDir>,
}

/// Returns a stage for each backend.
async fn stages() -> Vec<Stage> {
    let stage = |backend: Arc<dyn Pull>, _folder| {
        let before = Client::builder().build(Arc::clone(&backend)).unwrap();
        Stage { backend, before, _folder }
    };
    let mut stages = vec![stage(Arc::new(Memory::new()), None)];
    #[cfg(feature = "sqlite")]
    {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("tasks.db");
        let backend = gae_tasks::backend::sqlite::Sqlite::open(file).await.unwrap();
        stages.push(stage(Arc::new(backend), Some(folder)));
    }
    stages
}

impl Stage {
    /// Returns a client of the program after the deploy.
    fn after(&self, registry: Registry) -> Client {
        Client::builder().registry(registry).build(Arc::clone(&self.backend)).unwrap()
    }

    async fn check(&self, registry: Registry) -> DeployReport {
        self.after(registry).check_deploy().await.unwrap()
    }

    /// Leases `count` due tasks of the queue, whatever they are.
    async fn lease(&self, queue: &str, count: usize) -> Vec<gae_tasks::backend::LeaseRef> {
        let queues = Arc::new(BTreeSet::from([QueueName::new(queue).unwrap()]));
        let (room, duration) = (Room::new(count), Duration::from_secs(30));
        let request = Lease::new(Now::Storage, queues, Routes::Any, room, duration);
        let leased = self.backend.lease(request).await.unwrap().tasks;
        assert_eq!(leased.len(), count);
        leased.into_iter().map(|task| task.lease).collect()
    }

    /// Makes dead letters of `count` due tasks of the queue.
    async fn bury(&self, queue: &str, count: usize) {
        let over = |lease| Settlement::new(lease, Verdict::Permanent { error: "over".to_owned() });
        let settlements = self.lease(queue, count).await.into_iter().map(over).collect();
        self.backend.settle(Settle::new(Now::Storage, settlements)).await.unwrap();
    }
}

/// Returns the line of the only route.
fn only(report: &DeployReport) -> &DeployRoute {
    assert_eq!(report.routes.len(), 1, "{report}");
    &report.routes[0]
}
