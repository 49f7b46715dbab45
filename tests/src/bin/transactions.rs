//! An application that is killed: `transactions defer FILE SEED` commits and rolls back orders with
//! their tasks, `transactions work FILE` runs tasks that complete in transactions of their own.

use std::io::Write;
use std::path::PathBuf;

use gae_tasks::{BoxError, Client, Error};
use gae_tasks_tests::transactions::{open, ship};
use rusqlite::TransactionBehavior;

gae_tasks::link!(gae_tasks_tests);

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let mut arguments = std::env::args().skip(1);
    let verb = arguments.next().unwrap_or_default();
    let file = PathBuf::from(arguments.next().ok_or("name a file")?);
    let tasks = Client::open(&format!("sqlite:{}", file.display())).await?;
    match verb.as_str() {
        "work" => {
            let worker = tasks.worker().queues(["effects"]).concurrency(4);
            Ok(worker.with_graceful_shutdown(gae_tasks::signals()).await?)
        }
        _ => defer(&tasks, &file, arguments.next().ok_or("name a seed")?.parse()?),
    }
}

/// Defers in transactions until the process is killed; writes a line after each.
fn defer(tasks: &Client, file: &std::path::Path, seed: u64) -> Result<(), BoxError> {
    let mut application = open(file)?;
    let (mut state, mut order) = (seed | 1, 0);
    let mut random = move || {
        // Xorshift.
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    let mut output = std::io::stdout().lock();
    loop {
        let tx = application.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let stored = match random() % 3 {
            0 => vec![ship::defer(order).on(tasks).in_tx(&tx)?],
            1 => {
                let named = ship::defer(order).named(format!("order-{seed}-{order}"));
                vec![named.on(tasks).must_be_new().in_tx(&tx)?]
            }
            _ => tasks.defer_many_in_tx(&tx, (0..5).map(|_| ship::defer(order)))?,
        };
        for task in &stored {
            tx.execute("INSERT INTO orders (task) VALUES (?1)", [task.id.to_string()])?;
        }
        // A call that fails takes nothing with it, and the transaction goes on.
        let twice = [ship::defer(order).queue("not a name"), ship::defer(order)];
        if !matches!(tasks.defer_many_in_tx(&tx, twice), Err(Error::QueueName { .. })) {
            return Err("a wrong queue was accepted".into());
        }
        let line = if random() % 2 == 0 {
            tx.commit()?;
            "committed"
        } else {
            tx.rollback()?;
            "rolled back"
        };
        writeln!(output, "{line}")?;
        order += 1;
    }
}
