//! The tasks that most rows store and run. They do nothing.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use gae_tasks::{BoxError, Client, Defer, Kind, Route, Task, deferred};
use gae_tasks_tests_postgres::raw::Rate;
use tokio::sync::Notify;
use tokio::task::JoinSet;

/// The queue of the tasks.
pub(crate) const QUEUE: &str = <no_op as Task>::QUEUE;

/// The attempts that a worker makes at the same time.
pub(crate) const CONCURRENCY: usize = 100;

/// With these arguments the payload is about as long as that of the loops of bare SQL.
pub(crate) const TEXTS: [&str; 2] =
    ["someone@mail.example.org", "a subject that is forty characters long"];

/// The most tasks that are stored by one call, before a measurement.
const CHUNK: usize = 10_000;

#[deferred(queue = "bench")]
async fn no_op(_user_id: u64, _to: String, _subject: String, #[state] left: &Left) {
    left.one_less();
}

/// Returns a task that does nothing.
pub(crate) fn call() -> Defer {
    let [to, subject] = TEXTS;
    no_op::defer(42, to, subject)
}

/// Returns the route of the tasks.
pub(crate) fn route() -> Route {
    let kind = Kind::new(no_op::KIND).expect("the attribute has checked it");
    Route::new(kind, no_op::registration().shape().expect("numbers and strings have a schema"))
}

/// Counts the tasks that have not run yet.
#[derive(Clone, Debug)]
pub(crate) struct Left(Arc<(AtomicUsize, Notify)>);

impl Left {
    /// Creates the count of tasks, none of which has run.
    pub(crate) fn of(tasks: usize) -> Self {
        Self(Arc::new((AtomicUsize::new(tasks), Notify::new())))
    }

    pub(crate) fn one_less(&self) {
        if self.0.0.fetch_sub(1, Ordering::Relaxed) == 1 {
            self.0.1.notify_one();
        }
    }

    /// Waits until all have run.
    pub(crate) async fn none(self) {
        self.0.1.notified().await;
    }
}

/// Has `callers` callers store `tasks` tasks, each caller one after the other.
pub(crate) async fn store(client: &Client, callers: usize, tasks: usize) -> Result<Rate, BoxError> {
    let began = Instant::now();
    let mut running = JoinSet::new();
    for caller in 0..callers {
        let share = tasks / callers + usize::from(caller < tasks % callers);
        let client = client.clone();
        running.spawn(async move {
            for _ in 0..share {
                call().on(&client).await?;
            }
            Ok::<_, gae_tasks::Error>(())
        });
    }
    while let Some(stored) = running.join_next().await {
        stored??;
    }
    Ok(Rate { tasks, time: began.elapsed() })
}

/// Stores tasks for a measurement of what comes after; `call` returns the one of a number.
pub(crate) async fn fill(
    client: &Client,
    tasks: usize,
    call: impl Fn(usize) -> Defer,
) -> Result<(), BoxError> {
    for from in (0..tasks).step_by(CHUNK) {
        client.defer_many((from..tasks.min(from + CHUNK)).map(&call)).await?;
    }
    Ok(())
}
