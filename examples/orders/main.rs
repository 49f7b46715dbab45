//! An order and its mail in one transaction.
//!
//! ```text
//! cargo run --example orders -- [--url sqlite:FILE]
//! cargo run --example orders --features postgres -- --url postgres://USER:PASSWORD@HOST/DATABASE
//! ```
//!
//! The tasks are in the same SQLite file, or the same Postgres database, as the orders. The mail of
//! an order is stored with the order, or not at all, and its receipt is written exactly once.

mod book;
mod mail;

use clap::Parser;
use gae_tasks::Client;

use crate::book::Book;

/// Places orders whose mails commit with them, and sends the mails.
#[derive(Debug, Parser)]
struct Arguments {
    /// The database of the orders and of the tasks: `sqlite:FILE` or, with the feature `postgres`,
    /// `postgres://..`; by default a file in a new temporary folder.
    #[arg(long)]
    url: Option<String>,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let Arguments { url } = Arguments::parse();
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("orders.db");
    let url = url.unwrap_or_else(|| format!("sqlite:{}", file.display()));
    let book = Book::open(&url, 10).await?;
    let tasks = Client::builder().state(book.clone()).open(&url).await?;

    for (customer, pieces) in [("ann", 4), ("bob", 5), ("cleo", 3), ("dan", 1)] {
        match book.place(&tasks, customer, pieces).await {
            Ok(order) => println!("order {order} of {customer}: {pieces} pieces"),
            Err(error) => println!("no order of {customer}: {error}"),
        }
    }
    println!("{} mails wait", tasks.stats().await?.open());

    // A service would run `tasks.worker()` for as long as it lives.
    tasks.drain().await?;
    for (order, customer) in book.receipts().await? {
        println!("sent: receipt of order {order} to {customer}");
    }
    Ok(())
}
