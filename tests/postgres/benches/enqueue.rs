//! Storing tasks beside loops of bare SQL that do the same, on a throwaway server.
//!
//! ```text
//! cargo bench -p gae-tasks-tests-postgres --features backend --bench enqueue [-- ROUNDS]
//! ```

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use gae_tasks::backend::postgres::Postgres;
use gae_tasks::backend::{Backend, Enqueue, NewTask};
use gae_tasks::{Kind, Now, QueueName, Shape, TaskId, TaskSpec};
use gae_tasks_tests_postgres::Cluster;
use gae_tasks_tests_postgres::raw::{self, Means};
use tokio::task::JoinSet;

/// Tasks of a loop.
const TASKS: usize = 100_000;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    // Cargo adds `--bench`.
    let mut arguments = std::env::args().skip(1).filter(|argument| argument != "--bench");
    let rounds = arguments.next().map_or(Ok(3), |rounds| rounds.parse())?;
    let cluster = Cluster::own().await;
    for round in 1..=rounds {
        println!("round {round}");
        for callers in [1, 50, 1_000] {
            let database = cluster.database().await;
            raw::create(&database.url()).await?;
            let tasks = if callers == 1 { TASKS / 50 } else { TASKS };
            let bare = raw::enqueue_coalesced(&database.url(), callers, 2, tasks).await?;
            let ours = enqueue(Arc::new(Postgres::open(&database.url()).await?), callers, tasks);
            report(&format!("enqueue, {callers} callers"), ours.await, bare.per_second());
        }
        let database = cluster.database().await;
        raw::create(&database.url()).await?;
        let bare = raw::insert_many(&database.url(), Means::Unnest, 1_000, TASKS).await?;
        let backend = Postgres::open(&database.url()).await?;
        report("one request for all", store_all(&backend).await?, bare.per_second());
    }
    Ok(())
}

fn report(what: &str, ours: f64, bare: f64) {
    println!("  {what}: {ours:.0}/s, bare {bare:.0}/s, {:.2} of it", ours / bare);
}

async fn enqueue(backend: Arc<Postgres>, callers: usize, tasks: usize) -> f64 {
    let began = Instant::now();
    let mut running = JoinSet::new();
    for caller in 0..callers {
        let (backend, tasks) =
            (Arc::clone(&backend), tasks / callers + usize::from(caller < tasks % callers));
        running.spawn(async move {
            for _ in 0..tasks {
                let request = Enqueue::new(Now::Storage, vec![task()]);
                let answers = backend.enqueue(request).await.expect("the server answers");
                assert!(answers.iter().all(Result::is_ok));
            }
        });
    }
    running.join_all().await;
    tasks as f64 / began.elapsed().as_secs_f64()
}

async fn store_all(backend: &Postgres) -> Result<f64, gae_tasks::Error> {
    let tasks: Vec<_> = (0..TASKS).map(|_| task()).collect();
    let began = Instant::now();
    backend.enqueue(Enqueue::new(Now::Storage, tasks)).await?;
    Ok(TASKS as f64 / began.elapsed().as_secs_f64())
}

fn task() -> NewTask {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let id = u128::from(COUNT.fetch_add(1, Ordering::Relaxed)) | 0x0190_0000_0000_7000 << 64;
    let kind = Kind::new("bench/plain").expect("it is valid");
    let spec = TaskSpec::new(
        TaskId::from_bytes(id.to_be_bytes()),
        kind,
        Shape::from_bits(7),
        QueueName::DEFAULT,
    );
    NewTask::new(spec, vec![7; 70], *b"schema")
}
