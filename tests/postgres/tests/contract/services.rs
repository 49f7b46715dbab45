//! Two services in one database: each has a schema of its own, and neither sees the other.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use gae_tasks::{Client, TaskFilter, deferred};
use gae_tasks_tests_postgres::{Cluster, Database};

#[derive(Clone, Default)]
struct Sum(Arc<AtomicU64>);

#[deferred(queue = "sums")]
async fn add(number: u64, #[state] sum: &Sum) {
    sum.0.fetch_add(number, Ordering::SeqCst);
}

/// A service, which has deferred a task by a name.
struct Service {
    tasks: Client,
    sum: Sum,
}

impl Service {
    async fn new(database: &Database, schema: &str, number: u64) -> Self {
        let sum = Sum::default();
        let url = format!("{}&schema={schema}", database.url());
        let tasks = Client::builder().state(sum.clone()).open(&url).await.unwrap();
        let deferred = add::defer(number).named("daily").on(&tasks).await.unwrap();
        assert!(deferred.created, "another service has the name");
        Self { tasks, sum }
    }

    async fn open(&self) -> u64 {
        self.tasks.stats().await.unwrap().open()
    }

    fn sum(&self) -> u64 {
        self.sum.0.load(Ordering::SeqCst)
    }
}

async fn services() -> [Service; 2] {
    let database = Cluster::shared().await.database().await;
    [Service::new(&database, "billing", 1).await, Service::new(&database, "mails", 10).await]
}

#[tokio::test]
async fn neither_runs_nor_shows_the_tasks_of_the_other() {
    let [billing, mails] = services().await;
    let of_billing = billing.tasks.find("sums", "daily").await.unwrap().unwrap().spec.id;
    let of_mails = mails.tasks.find("sums", "daily").await.unwrap().unwrap().spec.id;
    assert_ne!(of_billing, of_mails);
    assert!(mails.tasks.get(of_billing).await.unwrap().is_none());
    let listed = mails.tasks.list(TaskFilter::new(), None, 10).await.unwrap();
    assert_eq!(listed.len(), 1);
    assert_eq!(mails.tasks.drain().await.unwrap(), 1);
    assert_eq!((billing.sum(), mails.sum()), (0, 10));
    assert_eq!((billing.open().await, mails.open().await), (1, 0));
    assert_eq!(billing.tasks.drain().await.unwrap(), 1);
    assert_eq!((billing.sum(), mails.sum()), (1, 10));
}

#[tokio::test]
async fn neither_changes_the_queues_of_the_other() {
    let [billing, mails] = services().await;
    mails.tasks.pause("sums").await.unwrap();
    assert!(!billing.tasks.queues().await.unwrap()[0].paused);
    let of_billing = billing.tasks.find("sums", "daily").await.unwrap().unwrap().spec.id;
    assert!(!mails.tasks.delete(of_billing).await.unwrap());
    assert_eq!(mails.tasks.purge("sums").await.unwrap().deleted, 1);
    assert_eq!(billing.open().await, 1);
    mails.tasks.delete_queue("sums").await.unwrap();
    assert_eq!(billing.tasks.queues().await.unwrap().len(), 1);
    assert_eq!(billing.tasks.drain().await.unwrap(), 1);
}
