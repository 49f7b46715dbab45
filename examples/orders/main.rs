//! An order and its mail in one transaction: `cargo run --example orders`
//!
//! The tasks are in the same SQLite file as the orders. The mail of an order is stored with the
//! order, or not at all, and its receipt is written exactly once.

mod book;
mod mail;

use std::path::PathBuf;

use clap::Parser;
use gae_tasks::Client;

use crate::book::Book;

/// Places orders whose mails commit with them, and sends the mails.
#[derive(Debug, Parser)]
struct Arguments {
    /// The file of the orders and of the tasks; by default one in a new temporary folder.
    #[arg(long)]
    file: Option<PathBuf>,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let Arguments { file } = Arguments::parse();
    let folder = tempfile::tempdir()?;
    let file = file.unwrap_or_else(|| folder.path().join("orders.db"));
    let book = Book::open(&file, 10)?;
    let tasks = Client::builder().state(book.clone());
    let tasks = tasks.open(&format!("sqlite:{}", file.display())).await?;

    for (customer, pieces) in [("ann", 4), ("bob", 5), ("cleo", 3), ("dan", 1)] {
        match book.place(&tasks, customer, pieces) {
            Ok(order) => println!("order {order} of {customer}: {pieces} pieces"),
            Err(error) => println!("no order of {customer}: {error}"),
        }
    }
    println!("{} mails wait", tasks.stats().await?.open());

    // A service would run `tasks.worker()` for as long as it lives.
    tasks.drain().await?;
    book.receipts()?.iter().for_each(|receipt| println!("sent: {receipt}"));
    Ok(())
}
