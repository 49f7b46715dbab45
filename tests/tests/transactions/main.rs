//! Tasks in transactions of the application: stored and completed when they commit.
#![cfg(feature = "sqlite")]

mod cancelled;
mod completed;
#[cfg(unix)]
mod killed;
mod refused;
#[cfg(feature = "sqlx-sqlite")]
mod sqlx_too;
mod stage;
mod stored;
mod unique;
mod waits;
