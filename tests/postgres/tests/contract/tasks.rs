//! Tasks to store, and what is stored.

use std::sync::atomic::{AtomicU64, Ordering};

use gae_tasks::backend::{Backend, Enqueue, NewTask};
use gae_tasks::{Deferred, Error, Kind, Now, QueueName, Shape, TaskId, TaskName, TaskSpec};
use gae_tasks_tests_postgres::Database;

/// Returns a task of its own that is due at once.
pub(crate) fn task() -> NewTask {
    static COUNT: AtomicU64 = AtomicU64::new(1);
    let id = TaskId::from_bytes(u128::from(COUNT.fetch_add(1, Ordering::Relaxed)).to_be_bytes());
    let kind = Kind::new("contract/plain").expect("it is valid");
    let spec = TaskSpec::new(id, kind, Shape::from_bits(7), QueueName::DEFAULT);
    NewTask::new(spec, b"secret".to_vec(), *b"schema")
}

pub(crate) fn named(name: &str) -> NewTask {
    task().with(|task| task.spec.name = Some(TaskName::new(name).expect("it is valid")))
}

pub(crate) async fn store(
    backend: &impl Backend,
    tasks: Vec<NewTask>,
) -> Result<Vec<Result<Deferred, Error>>, Error> {
    backend.enqueue(Enqueue::new(Now::Storage, tasks)).await
}

/// Stores a task by itself.
pub(crate) async fn store_one(backend: &impl Backend, task: NewTask) -> Result<Deferred, Error> {
    store(backend, vec![task]).await?.remove(0)
}

/// Returns how many tasks are stored. Each of them waits.
pub(crate) async fn stored(database: &Database) -> i64 {
    let count = |table| format!("SELECT count(*) FROM gae_tasks.{table}");
    let tasks = database.value(&count("task")).await.expect("the server answers");
    let waiting: i64 = database.value(&count("waiting")).await.expect("the server answers");
    assert_eq!(waiting, tasks);
    tasks
}

/// An error with its sources, and as it is printed for debugging.
pub(crate) fn text(error: &Error) -> String {
    let source = std::error::Error::source(error).map(ToString::to_string);
    let text = format!("{error}: {}", source.unwrap_or_default());
    assert!(!format!("{text} {error:?}").contains("secret"), "{error:?}");
    text
}
