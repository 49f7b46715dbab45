//! The mails of the orders.

use gae_tasks::{TaskContext, deferred};
use rusqlite::TransactionBehavior;

use crate::book::Book;

/// Writes the receipt of an order. The receipt and the end of the task commit together, so there is
/// one of each order, whenever the program is killed.
#[deferred(queue = "emails")]
pub(crate) fn send_receipt(
    order: i64,
    customer: String,
    #[state] book: &Book,
    #[context] cx: &TaskContext,
) -> anyhow::Result<()> {
    let mut connection = book.connect()?;
    let tx = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    tx.execute("INSERT INTO receipts (number, customer) VALUES (?1, ?2)", (order, customer))?;
    cx.complete_in(&tx)?;
    tx.commit()?;
    Ok(())
}
