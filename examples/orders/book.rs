//! The orders, in the database in which their tasks are too.

#[cfg(feature = "postgres")]
mod postgres;
mod sqlite;

use anyhow::bail;
use gae_tasks::{Client, TaskContext};

/// The book of the shop. Clones are the same book.
#[derive(Debug, Clone)]
pub(crate) enum Book {
    Sqlite(sqlite::Book),
    #[cfg(feature = "postgres")]
    Postgres(postgres::Book),
}

impl Book {
    /// Opens the book in the database of a queue; a new one has so many pieces in stock.
    pub(crate) async fn open(url: &str, pieces: i64) -> anyhow::Result<Self> {
        match url.split_once(':') {
            Some(("sqlite", file)) => Ok(Self::Sqlite(sqlite::Book::open(file, pieces)?)),
            #[cfg(feature = "postgres")]
            Some(("postgres" | "postgresql", _)) => {
                Ok(Self::Postgres(postgres::Book::open(url, pieces).await?))
            }
            _ => bail!("use `sqlite:FILE`, or `postgres://..` with `--features postgres`"),
        }
    }

    /// Takes an order, and the task of its mail with it.
    pub(crate) async fn place(
        &self,
        tasks: &Client,
        customer: &str,
        pieces: i64,
    ) -> anyhow::Result<i64> {
        match self {
            Self::Sqlite(book) => {
                tokio::task::block_in_place(|| book.place(tasks, customer, pieces))
            }
            #[cfg(feature = "postgres")]
            Self::Postgres(book) => book.place(tasks, customer, pieces).await,
        }
    }

    /// Writes the receipt of an order. The receipt and the end of the running task commit together.
    pub(crate) async fn receipt(
        &self,
        cx: &TaskContext,
        order: i64,
        customer: &str,
    ) -> anyhow::Result<()> {
        match self {
            Self::Sqlite(book) => tokio::task::block_in_place(|| book.receipt(cx, order, customer)),
            #[cfg(feature = "postgres")]
            Self::Postgres(book) => book.receipt(cx, order, customer).await,
        }
    }

    /// The receipts that were sent: orders and their customers.
    pub(crate) async fn receipts(&self) -> anyhow::Result<Vec<(i64, String)>> {
        match self {
            Self::Sqlite(book) => tokio::task::block_in_place(|| book.receipts()),
            #[cfg(feature = "postgres")]
            Self::Postgres(book) => book.receipts().await,
        }
    }
}
