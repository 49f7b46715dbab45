//! A connection at work, in a transaction or without one.

use std::ops::{Deref, DerefMut};
use std::time::{Duration, Instant};

use sqlx::postgres::PgRow;
use sqlx::{Connection, PgConnection, Row};
use tokio::runtime::Handle;

use super::epoch::Epoch;
use super::error::Fault;
use super::limit::within;
use super::pool::Taken;

/// How long the end of a transaction may take before its connection is given up.
const PATIENCE: Duration = Duration::from_secs(5);

/// How long the beginning of a transaction may take: a pooler first waits for a connection to the
/// server.
const BEGINNING: Duration = Duration::from_secs(10);

/// A connection that was at work for longer is checked before another call uses it: it may have
/// been dropped because it does not answer.
///
/// Shorter than the time that any call has: the driver's pool waits without end for the answer of a
/// connection that it gets back.
const LONG: Duration = Duration::from_millis(500);

/// Begins a transaction on a session, whatever isolation is its default.
const OPEN: &str = "BEGIN ISOLATION LEVEL READ COMMITTED";

/// How a transaction ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    Commit,
    /// A transaction that has only locked rows is rolled back: its commit would wait for the disk.
    Rollback,
}

impl End {
    const fn text(self) -> &'static str {
        match self {
            Self::Commit => "COMMIT",
            Self::Rollback => "ROLLBACK",
        }
    }
}

/// A connection. Its transaction, if one is open, is rolled back unless it is committed.
#[derive(Debug)]
pub(super) struct Work {
    /// `None` only while it ends.
    connection: Option<Taken>,
    is_open: bool,
    /// Whether the connection is closed once this is dropped.
    is_given_up: bool,
    begun: Instant,
    /// When the server started that the connection leads to.
    server: Option<i64>,
}

impl Work {
    /// Works without a transaction, on the server that started at this time.
    pub(super) fn new(connection: Taken, server: Option<i64>) -> Self {
        let (connection, begun) = (Some(connection), Instant::now());
        Self { connection, is_open: false, is_given_up: false, begun, server }
    }

    /// Begins a transaction, by the statements `text`. If they return when the server started, that
    /// counts, and is returned.
    pub(super) async fn begin(
        connection: Taken,
        server: Option<i64>,
        text: &'static str,
    ) -> Result<(Self, Option<i64>), Fault> {
        let mut work = Self::new(connection, server);
        work.is_open = true;
        let row = work.execute(text, BEGINNING).await?;
        let started = row.map(|row| row.try_get(0)).transpose()?;
        work.server = started.or(server);
        Ok((work, started))
    }

    /// Whether the connection leads to the server of an epoch. It does for as long as it lives,
    /// while the process may have met another server since: a standby that took over, while the
    /// former primary still runs.
    pub(super) fn is_in(&self, epoch: Epoch) -> bool {
        self.server == epoch.started
    }

    /// Begins a transaction on this connection, unless one is open. Returns whether it did.
    pub(super) async fn open(&mut self) -> Result<bool, Fault> {
        if self.is_open {
            return Ok(false);
        }
        self.is_open = true;
        self.execute(OPEN, BEGINNING).await?;
        Ok(true)
    }

    /// Ends a transaction that was [begun here](Self::open); the connection stays.
    pub(super) async fn close(&mut self, end: End) -> Result<(), Fault> {
        self.execute(end.text(), PATIENCE).await?;
        self.is_open = false;
        Ok(())
    }

    /// Commits the transaction, if one is open. The connection is there for the next call at once:
    /// whoever ends its work so has waited for all answers.
    pub(super) async fn commit(mut self) -> Result<(), Fault> {
        if self.is_open {
            self.execute("COMMIT", PATIENCE).await?;
            self.is_open = false;
        }
        if !self.is_given_up
            && self.begun.elapsed() < LONG
            && let Some(connection) = self.connection.take()
        {
            connection.give_back();
        }
        Ok(())
    }

    /// Commits the transaction and begins the next one, in one round trip.
    pub(super) async fn commit_and_chain(&mut self) -> Result<(), Fault> {
        self.execute("COMMIT AND CHAIN", PATIENCE).await.map(drop)
    }

    /// Begins or ends a transaction. If that fails, nobody knows whether one is open.
    async fn execute(
        &mut self,
        text: &'static str,
        limit: Duration,
    ) -> Result<Option<PgRow>, Fault> {
        let done = within(limit, sqlx::raw_sql(text).fetch_optional(&mut **self)).await;
        if done.is_err() {
            self.give_up();
        }
        done
    }

    /// Closes the connection once this is dropped: it does not answer, or nobody knows in which
    /// state it is.
    pub(super) fn give_up(&mut self) {
        (self.is_open, self.is_given_up) = (false, true);
        if let Some(taken) = &mut self.connection {
            taken.connection.close_on_drop();
        }
    }
}

impl Drop for Work {
    fn drop(&mut self) {
        let Some(Taken { mut connection, .. }) = self.connection.take() else { return };
        if !self.is_open && (self.is_given_up || self.begun.elapsed() < LONG) {
            return;
        }
        let Ok(handle) = Handle::try_current() else { return connection.close_on_drop() };
        let is_open = self.is_open;
        handle.spawn(async move {
            // The pool waits for an answer without end.
            let answered = async {
                match is_open {
                    true => sqlx::raw_sql("ROLLBACK").execute(&mut *connection).await.map(drop),
                    false => connection.ping().await,
                }
            };
            if within(PATIENCE, answered).await.is_err() {
                connection.close_on_drop();
            }
        });
    }
}

impl Deref for Work {
    type Target = PgConnection;

    fn deref(&self) -> &PgConnection {
        &self.connection.as_ref().expect("only the end takes the connection").connection
    }
}

impl DerefMut for Work {
    fn deref_mut(&mut self) -> &mut PgConnection {
        &mut self.connection.as_mut().expect("only the end takes the connection").connection
    }
}

#[cfg(test)]
mod tests {
    use super::super::epoch::Epochs;
    use super::super::limit::LEAST;
    use super::*;

    #[test]
    fn a_connection_of_a_call_that_has_taken_too_long_is_checked() {
        assert!(LONG <= LEAST / 2, "such a call may have waited for its connection");
    }

    #[test]
    fn work_stays_on_its_server() {
        let epochs = Epochs::default();
        epochs.meet(7);
        let (connection, begun, server) = (None, Instant::now(), epochs.current().started);
        let work = Work { connection, is_open: true, is_given_up: false, begun, server };
        assert!(work.is_in(epochs.current()));
        epochs.end();
        assert!(work.is_in(epochs.current()), "another connection was lost");
        epochs.meet(9);
        assert!(!work.is_in(epochs.current()), "another one leads to another server");
    }
}
