//! An application's transaction with a business row and a task.

use std::time::Instant;

use sqlx::Connection;
use sqlx::postgres::PgConnection;

use super::figures::Times;
use super::rows::{PAYLOAD, Row};

/// Measures transactions of one caller: `BEGIN`, a business row, one plain insert of a task and
/// `COMMIT`.
///
/// # Errors
///
/// Those of the database.
pub async fn transactions(url: &str, transactions: usize) -> Result<Times, sqlx::Error> {
    let mut connection = PgConnection::connect(url).await?;
    let mut times = Vec::new();
    for _ in 0..transactions {
        let began = Instant::now();
        let mut transaction = connection.begin().await?;
        insert_business_row(&mut transaction).await?;
        let insert = "INSERT INTO gae_tasks_raw.tasks (id, due, payload) VALUES ($1, $2, $3)";
        let row = Row::new();
        let insert = sqlx::query(insert).bind(row.id).bind(row.due).bind(PAYLOAD.as_slice());
        insert.execute(&mut *transaction).await?;
        transaction.commit().await?;
        times.push(began.elapsed());
    }
    connection.close().await?;
    Ok(Times::new(times))
}

/// Stores the business row of [`transactions`], for the same transaction with another task.
///
/// # Errors
///
/// Those of the database.
pub async fn insert_business_row(connection: &mut PgConnection) -> Result<(), sqlx::Error> {
    let insert = "INSERT INTO gae_tasks_raw.orders (customer, cents) VALUES ($1, $2)";
    sqlx::query(insert).bind("someone@example.com").bind(4_200_i64).execute(connection).await?;
    Ok(())
}
