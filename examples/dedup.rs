//! A named task is stored once: `cargo run --example dedup`

use clap::Parser;
use gae_tasks::{Client, Error, deferred};

#[deferred(queue = "emails")]
async fn send_invoice(order: u64) {
    println!("the invoice of order {order}, once");
}

/// Defers a named task three times, of which one is stored.
#[derive(Debug, Parser)]
struct Arguments;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    Arguments::parse();
    let tasks = Client::open("memory:").await?;
    tasks.install()?;

    for attempt in 1..=3 {
        let answer = send_invoice::defer(7).named("invoice-7").await?;
        println!("call {attempt}: created = {}", answer.created);
    }
    tasks.drain().await?;

    // The name stays blocked for a day after the task has ended. `must_be_new` makes that an error.
    match send_invoice::defer(7).named("invoice-7").must_be_new().await {
        Err(error @ Error::NameTaken { .. }) => println!("refused: {error}"),
        other => println!("unexpected: {other:?}"),
    }
    Ok(())
}
