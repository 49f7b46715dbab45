//! The orders in a Postgres database.

use anyhow::ensure;
use gae_tasks::{Client, TaskContext};
use sqlx::PgPool;

use crate::mail::send_receipt;

const TABLES: &str = "CREATE SCHEMA IF NOT EXISTS shop;
    CREATE TABLE IF NOT EXISTS shop.stock (pieces bigint NOT NULL);
    CREATE TABLE IF NOT EXISTS shop.orders (number bigint GENERATED ALWAYS AS IDENTITY PRIMARY \
    KEY, customer text NOT NULL, pieces bigint NOT NULL);
    CREATE TABLE IF NOT EXISTS shop.receipts (number bigint NOT NULL, customer text NOT NULL)";

/// The database of the shop, whose tables are in the schema `shop`. Clones are the same shop.
#[derive(Debug, Clone)]
pub(crate) struct Book(PgPool);

impl Book {
    pub(super) async fn open(url: &str, pieces: i64) -> anyhow::Result<Self> {
        let book = Self(PgPool::connect(url).await?);
        sqlx::raw_sql(TABLES).execute(&book.0).await?;
        let stock = "INSERT INTO shop.stock SELECT $1 WHERE NOT EXISTS (SELECT 1 FROM shop.stock)";
        sqlx::query(stock).bind(pieces).execute(&book.0).await?;
        Ok(book)
    }

    pub(super) async fn place(
        &self,
        tasks: &Client,
        customer: &str,
        pieces: i64,
    ) -> anyhow::Result<i64> {
        let mut tx = self.0.begin().await?;
        let order = "INSERT INTO shop.orders (customer, pieces) VALUES ($1, $2) RETURNING number";
        let order = sqlx::query_scalar(order).bind(customer).bind(pieces);
        let order = order.fetch_one(&mut *tx).await?;
        send_receipt::defer(order, customer).on(tasks).in_tx(&mut tx).await?;
        let take = "UPDATE shop.stock SET pieces = pieces - $1 RETURNING pieces";
        let left: i64 = sqlx::query_scalar(take).bind(pieces).fetch_one(&mut *tx).await?;
        // An error drops the transaction: no order, and no mail either.
        ensure!(left >= 0, "only {} pieces are left", left + pieces);
        tx.commit().await?;
        Ok(order)
    }

    pub(super) async fn receipt(
        &self,
        cx: &TaskContext,
        order: i64,
        customer: &str,
    ) -> anyhow::Result<()> {
        let mut tx = self.0.begin().await?;
        let receipt = "INSERT INTO shop.receipts (number, customer) VALUES ($1, $2)";
        sqlx::query(receipt).bind(order).bind(customer).execute(&mut *tx).await?;
        cx.complete_in(&mut tx).await?;
        Ok(tx.commit().await?)
    }

    pub(super) async fn receipts(&self) -> anyhow::Result<Vec<(i64, String)>> {
        let all = "SELECT number, customer FROM shop.receipts ORDER BY number";
        Ok(sqlx::query_as(all).fetch_all(&self.0).await?)
    }
}
