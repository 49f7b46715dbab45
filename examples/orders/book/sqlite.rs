//! The orders in a SQLite file.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::ensure;
use gae_tasks::{Client, TaskContext};
use rusqlite::{Connection, TransactionBehavior};

use crate::mail::send_receipt;

const TABLES: &str = "CREATE TABLE IF NOT EXISTS stock (pieces INTEGER NOT NULL);
    CREATE TABLE IF NOT EXISTS orders (number INTEGER PRIMARY KEY, customer TEXT NOT NULL, \
    pieces INTEGER NOT NULL);
    CREATE TABLE IF NOT EXISTS receipts (number INTEGER NOT NULL, customer TEXT NOT NULL)";

/// The file of the shop. Clones are the same shop.
#[derive(Debug, Clone)]
pub(crate) struct Book(PathBuf);

impl Book {
    pub(super) fn open(file: &str, pieces: i64) -> anyhow::Result<Self> {
        let book = Self(file.into());
        let connection = book.connect()?;
        connection.execute_batch(TABLES)?;
        let stock = "INSERT INTO stock SELECT ?1 WHERE NOT EXISTS (SELECT 1 FROM stock)";
        connection.execute(stock, [pieces])?;
        Ok(book)
    }

    fn connect(&self) -> rusqlite::Result<Connection> {
        let connection = Connection::open(&self.0)?;
        connection.busy_timeout(Duration::from_secs(5))?;
        Ok(connection)
    }

    pub(super) fn place(&self, tasks: &Client, customer: &str, pieces: i64) -> anyhow::Result<i64> {
        let mut connection = self.connect()?;
        let tx = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let order = "INSERT INTO orders (customer, pieces) VALUES (?1, ?2)";
        tx.execute(order, (customer, pieces))?;
        let order = tx.last_insert_rowid();
        send_receipt::defer(order, customer).on(tasks).in_tx(&tx)?;
        let take = "UPDATE stock SET pieces = pieces - ?1 RETURNING pieces";
        let left: i64 = tx.query_row(take, [pieces], |row| row.get(0))?;
        // An error drops the transaction: no order, and no mail either.
        ensure!(left >= 0, "only {} pieces are left", left + pieces);
        tx.commit()?;
        Ok(order)
    }

    pub(super) fn receipt(
        &self,
        cx: &TaskContext,
        order: i64,
        customer: &str,
    ) -> anyhow::Result<()> {
        let mut connection = self.connect()?;
        let tx = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        tx.execute("INSERT INTO receipts (number, customer) VALUES (?1, ?2)", (order, customer))?;
        cx.complete_in(&tx)?;
        Ok(tx.commit()?)
    }

    pub(super) fn receipts(&self) -> anyhow::Result<Vec<(i64, String)>> {
        let connection = self.connect()?;
        let mut all =
            connection.prepare("SELECT number, customer FROM receipts ORDER BY number")?;
        let receipts = all.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
        Ok(receipts.collect::<Result<_, _>>()?)
    }
}
