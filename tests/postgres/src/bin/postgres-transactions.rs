//! An application that is killed: `postgres-transactions defer URL SEED` commits and rolls back
//! orders with their tasks, `postgres-transactions work URL` runs tasks that complete in
//! transactions of their own.

use std::io::Write;
use std::time::Duration;

use gae_tasks::{BoxError, Client, Error};
use gae_tasks_tests_postgres::transactions::ship;
use sqlx::postgres::PgPoolOptions;
use sqlx::{Connection, PgConnection};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), BoxError> {
    let mut arguments = std::env::args().skip(1);
    let verb = arguments.next().unwrap_or_default();
    let url = arguments.next().ok_or("name a URL")?;
    match verb.as_str() {
        "work" => work(&url).await,
        _ => defer(&url, arguments.next().ok_or("name a seed")?.parse()?).await,
    }
}

/// The queue's own connections are few, because the tests start many processes.
fn few_connections(url: &str) -> String {
    format!("{url}&max_connections=3")
}

async fn work(url: &str) -> Result<(), BoxError> {
    let application = PgPoolOptions::new().max_connections(4).connect(url).await?;
    let tasks = Client::builder().state(application).open(&few_connections(url)).await?;
    let worker = tasks.worker().queues(["effects"]).concurrency(8).lease(Duration::from_secs(1));
    Ok(worker.with_graceful_shutdown(gae_tasks::signals()).await?)
}

/// Defers in transactions until the process is killed; writes a line after each.
async fn defer(url: &str, seed: u64) -> Result<(), BoxError> {
    let tasks = Client::open(&few_connections(url)).await?;
    let mut application = PgConnection::connect(url).await?;
    let (mut state, mut order) = (seed | 1, 0);
    let mut random = move || {
        // Xorshift.
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    let mut output = std::io::stdout();
    loop {
        let is_serial = random() % 2 == 0;
        let begin = if is_serial { "BEGIN ISOLATION LEVEL REPEATABLE READ" } else { "BEGIN" };
        let mut tx = application.begin_with(begin).await?;
        let stored = match random() % 3 {
            0 => vec![ship::defer(order).on(&tasks).in_tx(&mut tx).await?],
            1 => {
                let named = ship::defer(order).named(format!("order-{seed}-{order}"));
                vec![named.on(&tasks).must_be_new().in_tx(&mut tx).await?]
            }
            _ => tasks.defer_many_in_tx(&mut tx, (0..5).map(|_| ship::defer(order))).await?,
        };
        for task in &stored {
            let id = uuid::Uuid::from_bytes(*task.id.as_bytes());
            let insert = sqlx::query("INSERT INTO orders (task) VALUES ($1)").bind(id);
            insert.execute(&mut *tx).await?;
        }
        // A call that fails takes nothing with it, and the transaction goes on.
        let twice = [ship::defer(order).queue("not a name"), ship::defer(order)];
        let refused = tasks.defer_many_in_tx(&mut tx, twice).await;
        if !matches!(refused, Err(Error::QueueName { .. })) {
            return Err("a wrong queue was accepted".into());
        }
        let line = if random() % 2 == 0 {
            tx.commit().await?;
            "committed"
        } else {
            tx.rollback().await?;
            "rolled back"
        };
        writeln!(output, "{line}")?;
        order += 1;
    }
}
