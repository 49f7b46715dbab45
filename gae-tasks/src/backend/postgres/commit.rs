//! Commits whose outcome is known, also where the connection is lost meanwhile.

use std::time::{Duration, Instant};

use sqlx::Row;
use tokio::time::sleep;

use super::database::Database;
use super::error::{Fault, Problem};
use super::limit::within;
use super::work::Work;

/// For how long the server is asked what became of a transaction.
const BOUND: Duration = Duration::from_secs(10);

/// How long the server may take for one answer.
const ANSWER: Duration = Duration::from_secs(5);

/// A transaction that still runs after this time waits for a client that is gone.
const ABANDONED: Duration = Duration::from_secs(1);

/// Commits `work`, which is the transaction `xid`; `None` if the transaction wrote nothing.
///
/// # Errors
/// The transaction is rolled back, unless the error is [`Fault::Unknown`].
pub(super) async fn commit(
    database: &Database,
    work: Work,
    xid: Option<&str>,
) -> Result<(), Fault> {
    let committed = work.commit().await;
    known(database, committed, xid).await
}

/// Commits a change of `what` by hand, which is the transaction `xid`.
///
/// # Errors
/// The transaction is rolled back, unless the error says that this is not known.
pub(super) async fn commit_change(
    database: &Database,
    work: Work,
    xid: &str,
    what: &str,
) -> Result<(), Fault> {
    match commit(database, work, Some(xid)).await {
        Err(fault @ Fault::Unknown) => {
            let text = format!(
                "lost its connection to {} while it changed {what}, and does not know whether it \
                 has: look, and try again",
                database.place()
            );
            Err(Fault::Shared(Problem::new(text, fault.cause())))
        }
        committed => committed,
    }
}

/// As [`commit`], and begins the next transaction if the connection is still there.
pub(super) async fn commit_and_chain(
    database: &Database,
    mut work: Work,
    xid: Option<&str>,
) -> Result<Option<Work>, Fault> {
    let committed = work.commit_and_chain().await;
    let is_there = committed.is_ok();
    known(database, committed, xid).await?;
    Ok(is_there.then_some(work))
}

async fn known(
    database: &Database,
    committed: Result<(), Fault>,
    xid: Option<&str>,
) -> Result<(), Fault> {
    match (committed, xid) {
        // An answer of the server means that nothing was committed, but for the end of the
        // connection, which may come in the midst of a commit.
        (Err(fault), Some(xid)) if fault.is_of_connection() => {
            database.heed(&fault);
            ask(database, xid, fault).await
        }
        (committed, _) => committed,
    }
}

/// Asks the server what became of the transaction `xid`, which was lost with `fault`.
async fn ask(database: &Database, xid: &str, fault: Fault) -> Result<(), Fault> {
    let began = Instant::now();
    while began.elapsed() < BOUND {
        match within(ANSWER, status(database, xid)).await {
            Ok(Some(status)) if status == "committed" => return Ok(()),
            Ok(Some(status)) if status == "aborted" => return Err(fault),
            Ok(Some(_)) if began.elapsed() > ABANDONED => {
                _ = within(ANSWER, end(database, xid)).await;
            }
            Ok(Some(_)) => {}
            // The server has forgotten it.
            Ok(None) => return Err(Fault::Unknown),
            // A transaction of the future: this server, a standby before, never had it.
            Err(of) if of.code().as_deref() == Some("22023") => return Err(fault),
            Err(fault) => database.heed(&fault),
        }
        sleep(Duration::from_millis(20)).await;
    }
    Err(Fault::Unknown)
}

async fn status(database: &Database, xid: &str) -> Result<Option<String>, Fault> {
    const STATUS: &str = "SELECT pg_xact_status($1::text::xid8)";
    let mut connection = database.connection().await?;
    let row = database.prepared(STATUS).bind(xid).fetch_one(&mut *connection).await?;
    Ok(row.try_get(0)?)
}

/// Ends the server's process that holds the transaction open.
async fn end(database: &Database, xid: &str) -> Result<(), Fault> {
    const END: &str = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE backend_xid = \
                       $1::text::xid8::xid";
    let mut connection = database.connection().await?;
    database.query(END).bind(xid).fetch_all(&mut *connection).await?;
    Ok(())
}
