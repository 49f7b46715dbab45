//! Why a call in the caller's transaction is refused, and what to do about it.

use std::path::Path;

use super::super::error::NAME;
use super::statements::Failed;
use crate::error::Error;

/// SQLite's result codes.
const ERROR: i32 = 1;
const BUSY: i32 = 5;
const BUSY_SNAPSHOT: i32 = 517;
const READ_ONLY: i32 = 8;

/// The transaction is in another file than the client's.
pub(super) fn elsewhere(found: &str, path: &Path) -> String {
    let found = if found.is_empty() { "memory".to_owned() } else { format!("`{found}`") };
    format!(
        "needs a transaction in the file of the client's tasks: the main database of this one is \
         {found}, the tasks are in `{}`, and workers would never find one elsewhere; open the \
         client with the database of the application",
        path.display()
    )
}

/// The tables are not those that this program knows.
pub(super) fn other_tables(path: &Path) -> String {
    format!(
        "finds tables of another version of gae-tasks in `{}`: end the transaction, and open the \
         client again, which says what to do",
        path.display()
    )
}

/// A statement failed; the transaction is as before the call.
pub(super) fn failed(call: &'static str, path: &Path, failed: Failed) -> Error {
    let Failed { code, source } = failed;
    let file = path.display();
    let problem = match code {
        Some(BUSY_SNAPSHOT) => format!(
            "cannot write `{file}` in this transaction, which has read before another one wrote: \
             roll back, and begin with `BEGIN IMMEDIATE`, so that the transaction has the write \
             lock from the start (`{call}`)"
        ),
        Some(code) if code & 0xff == BUSY => format!(
            "cannot write `{file}` now: another connection holds its write lock, so `{call}` \
             changed nothing; roll back, and try again in a transaction that begins with `BEGIN \
             IMMEDIATE`, which waits for the lock as long as the connection's `busy_timeout` says"
        ),
        Some(code) if code & 0xff == READ_ONLY => {
            format!("cannot write `{file}`: the connection of `{call}` may only read")
        }
        Some(ERROR) if source.to_string().contains("no such table") => format!(
            "has no tables in `{file}` that this transaction can see: begin it after the client \
             was opened; if the tables were deleted, open the client again (`{call}`)"
        ),
        _ => format!("failed on `{file}`, so `{call}` changed nothing"),
    };
    Error::Storage { backend: NAME, problem, source }
}

/// The savepoint around a call failed.
pub(super) fn unbegun(failed: Failed) -> Error {
    let Failed { code, source } = failed;
    let problem = if code == Some(ERROR) && source.to_string().contains("within a transaction") {
        "cannot set a savepoint in this transaction, which a statement has begun without sqlx: \
         begin it with `connection.begin_with(\"BEGIN IMMEDIATE\")`"
    } else {
        "cannot set a savepoint in this transaction, so the call changed nothing"
    };
    Error::Storage { backend: NAME, problem: problem.to_owned(), source }
}

/// The savepoint around a call could not be released.
pub(super) fn unkept(failed: Failed) -> Error {
    let problem = "cannot release a savepoint in this transaction, in which a statement may still \
                   be under way; the call changed nothing";
    Error::Storage { backend: NAME, problem: problem.to_owned(), source: failed.source }
}

/// A call failed, and what it did could not be taken back alone: SQLite ends the whole transaction
/// after some errors, such as a full disk.
pub(super) fn over(error: Error) -> Error {
    let problem = "cannot go on with this transaction, which the database has ended or must end: \
                   roll it back, and begin another one";
    Error::Storage { backend: NAME, problem: problem.to_owned(), source: error.into() }
}
