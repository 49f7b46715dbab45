//! Handlers get shared values from the client: `cargo run --example state`

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use clap::Parser;
use gae_tasks::{Client, deferred};

/// Stands for a connection to a mail server.
struct Mailer {
    from: &'static str,
}

/// Taken by value, which clones it.
#[derive(Clone, Default)]
struct Sent(Arc<AtomicU64>);

#[deferred(queue = "emails")]
async fn send_welcome(user_id: u64, #[state] mailer: &Mailer, #[state] sent: Sent) {
    println!("from {} to user {user_id}: welcome", mailer.from);
    sent.0.fetch_add(1, Ordering::Relaxed);
}

/// Gives a mailer and a counter to handlers as state.
#[derive(Debug, Parser)]
struct Arguments;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    Arguments::parse();
    let sent = Sent::default();
    let tasks = Client::builder()
        .state(Mailer { from: "shop@example.org" })
        .state(sent.clone())
        .open("memory:")
        .await?;

    for user_id in 1..=3 {
        send_welcome::defer(user_id).on(&tasks).await?;
    }
    tasks.drain().await?;
    println!("{} mails sent", sent.0.load(Ordering::Relaxed));

    // A worker names missing state before it runs the first task.
    let without = Client::open("memory:").await?;
    if let Err(error) = without.worker().await {
        println!("{error}");
    }
    Ok(())
}
