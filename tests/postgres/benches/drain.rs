//! A worker that drains a queue, beside the loop of bare SQL over two connections.
//!
//! ```text
//! cargo bench -p gae-tasks-tests-postgres --features backend --bench drain \
//!     [-- ROUNDS [TASKS [QUEUES [URL]]]]
//! ```

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use gae_tasks::{Client, deferred};
use gae_tasks_tests_postgres::Cluster;
use gae_tasks_tests_postgres::raw::{self, Rate};
use tokio::sync::Notify;

/// The attempts that a worker makes at the same time.
const CONCURRENCY: usize = 100;

/// The tasks that were run.
#[derive(Clone, Debug, Default)]
struct Run {
    count: Arc<AtomicUsize>,
    moved: Arc<Notify>,
}

#[deferred]
async fn nothing(_user: u64, _to: String, _subject: String, #[state] run: &Run) {
    run.count.fetch_add(1, Ordering::Relaxed);
    run.moved.notify_one();
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    // Cargo adds `--bench`.
    let mut arguments = std::env::args().skip(1).filter(|argument| argument != "--bench");
    let mut number =
        |otherwise| arguments.next().map_or(otherwise, |number| number.parse().expect("a number"));
    let (rounds, tasks, queues) = (number(3), number(100_000), number(1));
    let cluster = Cluster::own().await;
    for round in 1..=rounds {
        let database = cluster.database().await;
        let url = arguments.next().unwrap_or_else(|| database.url());
        raw::create(&url).await?;
        raw::fill(&url, tasks).await?;
        let bare = raw::drain(&url, 2, 500).await?;
        raw::remove(&url).await?;
        let worker = drain(&url, tasks, queues).await?;
        let share = worker.per_second() / bare.per_second();
        println!("round {round}: bare SQL {bare}, a worker {worker}: {share:.2}");
    }
    Ok(())
}

async fn drain(url: &str, tasks: usize, queues: usize) -> Result<Rate, gae_tasks::Error> {
    let run = Run::default();
    let client = Client::builder().state(run.clone()).open(url).await?;
    let name = |number: usize| format!("queue{}", number % queues);
    let call = |number: usize| {
        nothing::defer(number as u64, "somebody@somewhere.com", "Your order 4711 has been sent")
            .queue(name(number))
    };
    for from in (0..tasks).step_by(10_000) {
        client.defer_many((from..tasks.min(from + 10_000)).map(call)).await?;
    }
    let names: Vec<_> = (0..queues).map(name).collect();
    let began = Instant::now();
    let done = async move {
        while run.count.load(Ordering::Relaxed) < tasks {
            run.moved.notified().await;
        }
    };
    let worker = client.worker().queues(names).concurrency(CONCURRENCY);
    worker.with_graceful_shutdown(done).await?;
    let time = began.elapsed();
    assert_eq!(client.stats().await?.open(), 0, "tasks were left");
    Ok(Rate { tasks, time })
}
