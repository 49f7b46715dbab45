//! The mails of the orders.

use gae_tasks::{TaskContext, deferred};

use crate::book::Book;

/// Sends the receipt of an order: exactly once, whenever the program is killed.
#[deferred(queue = "emails")]
pub(crate) async fn send_receipt(
    order: i64,
    customer: String,
    #[state] book: &Book,
    #[context] cx: &TaskContext,
) -> anyhow::Result<()> {
    book.receipt(cx, order, &customer).await
}
