//! Tasks whose business data is in the same SQLite file.

use std::cell::RefCell;
use std::path::Path;
use std::time::Duration;

use gae_tasks::{BoxError, PermanentTaskFailure, TaskContext, deferred};
use rusqlite::{Connection, TransactionBehavior};

/// The tables of the application.
pub const TABLES: &str = "CREATE TABLE IF NOT EXISTS orders (task TEXT NOT NULL PRIMARY KEY); \
                          CREATE TABLE IF NOT EXISTS effects (task TEXT NOT NULL, process INTEGER \
                          NOT NULL)";

/// A task of an order, stored with it.
#[deferred(queue = "orders")]
pub async fn ship(order: u64) {
    _ = order;
}

/// Writes a row and completes the task in one transaction, and then returns whatever `ends` says.
#[deferred(queue = "effects")]
pub fn effect(
    file: String,
    ends: u8,
    micros: u64,
    #[context] cx: &TaskContext,
) -> Result<(), BoxError> {
    thread_local! {
        static APPLICATION: RefCell<Option<Connection>> = const { RefCell::new(None) };
    }
    APPLICATION.with_borrow_mut(|connection| {
        if connection.is_none() {
            *connection = Some(open(Path::new(&file))?);
        }
        let connection = connection.as_mut().ok_or("no connection")?;
        let tx = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let row = (cx.id().to_string(), std::process::id());
        tx.execute("INSERT INTO effects (task, process) VALUES (?1, ?2)", row)?;
        std::thread::sleep(Duration::from_micros(micros));
        cx.complete_in(&tx)?;
        if ends == 0 && cx.attempt() == 1 {
            // The transaction is dropped, and so rolled back.
            return Ok(());
        }
        tx.commit()?;
        std::thread::sleep(Duration::from_micros(micros));
        match ends {
            1 => Err("after the commit".into()),
            2 => Err(PermanentTaskFailure::new("after the commit").into()),
            _ => Ok(()),
        }
    })
}

/// Opens the file as the application does.
///
/// # Errors
/// SQLite refuses it.
pub fn open(file: &Path) -> rusqlite::Result<Connection> {
    let connection = Connection::open(file)?;
    connection.busy_timeout(Duration::from_secs(30))?;
    connection.execute_batch(TABLES)?;
    Ok(connection)
}
