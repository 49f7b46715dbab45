//! The pool of connections: which of them are checked before they are used again, and why none is
//! to be had.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use sqlx::pool::PoolConnection;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{Connection, PgConnection, PgPool, Postgres, Row, raw_sql};
use tokio::time::timeout;

use super::epoch::{Epochs, started};
use super::error::Fault;
use super::kept::{Free, Kept};
use super::limit::within;

/// How long a call waits for a connection.
const PATIENCE: Duration = Duration::from_secs(10);

/// A connection that was idle for longer is checked before it is used.
const IDLE: Duration = Duration::from_secs(1);

/// How long after a connection was lost the others are checked.
const SUSPICIOUS: Duration = Duration::from_secs(30);

/// The connections of a process to its database.
pub(super) struct Pool {
    pool: PgPool,
    options: PgConnectOptions,
    place: String,
    suspicion: Arc<Suspicion>,
    kept: Arc<Kept<PoolConnection<Postgres>>>,
}

/// A connection of a pool.
pub(super) struct Taken {
    pub(super) connection: PoolConnection<Postgres>,
    /// Since when it is not in the driver's pool.
    had: Instant,
    kept: Arc<Kept<PoolConnection<Postgres>>>,
}

impl Taken {
    /// Gives the connection back, for the next call. Everything that was asked on it was answered.
    pub(super) fn give_back(self) {
        let Self { connection, had, kept } = self;
        // The driver asks these whether they live.
        drop(kept.keep(connection, had, Instant::now()));
    }
}

impl fmt::Debug for Taken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Taken").field("had", &self.had).finish_non_exhaustive()
    }
}

impl Pool {
    /// Creates a pool of up to `most` connections, each of which is made when it is needed. The
    /// place is the database's, for errors: it never shows the password.
    pub(super) fn new(
        options: PgConnectOptions,
        most: u32,
        place: String,
        suspicion: Arc<Suspicion>,
    ) -> Self {
        let (greeter, judge) = (Arc::clone(&suspicion), Arc::clone(&suspicion));
        let pool = PgPoolOptions::new()
            .max_connections(most)
            .acquire_timeout(PATIENCE)
            .test_before_acquire(false)
            .after_connect(move |connection, _| {
                let greeter = Arc::clone(&greeter);
                Box::pin(async move { greeter.meets(connection).await })
            })
            .before_acquire(move |connection, meta| {
                let judge = Arc::clone(&judge);
                Box::pin(async move { judge.admits(connection, meta.age, meta.idle_for).await })
            })
            .connect_lazy_with(options.clone());
        Self { pool, options, place, suspicion, kept: Arc::new(Kept::new()) }
    }

    pub(super) fn place(&self) -> &str {
        &self.place
    }

    pub(super) const fn options(&self) -> &PgConnectOptions {
        &self.options
    }

    pub(super) async fn acquire(&self) -> Result<Taken, sqlx::Error> {
        let taken = |connection, had| Taken { connection, had, kept: Arc::clone(&self.kept) };
        let _waiting = loop {
            let Free { mut connection, had, since } = match self.kept.take() {
                Ok(free) => free,
                Err(waiting) => break waiting,
            };
            // One that was had after a suspicion began was checked then.
            let admitted = self.suspicion.admits(&mut connection, had.elapsed(), since.elapsed());
            if matches!(admitted.await, Ok(true)) {
                return Ok(taken(connection, had));
            }
            connection.close_on_drop();
        };
        // Before it is checked: what becomes suspect meanwhile is checked again.
        let had = Instant::now();
        Ok(taken(self.pool.acquire().await?, had))
    }

    /// Has the connections that there are checked before they are used again.
    pub(super) fn suspect(&self) {
        self.suspicion.begin();
    }

    /// Returns the fault, or the one behind it: the pool does not say why it has no connection.
    pub(super) async fn explain(&self, fault: Fault) -> Fault {
        if !matches!(fault, Fault::Sql(sqlx::Error::PoolTimedOut)) {
            return fault;
        }
        match connect(&self.options, Duration::from_secs(2)).await {
            Err(reason) => reason,
            Ok(connection) => {
                _ = connection.close().await;
                fault
            }
        }
    }
}

impl Drop for Pool {
    /// The driver cannot take connections back where no runtime is left.
    fn drop(&mut self) {
        self.kept.take_all().into_iter().for_each(|connection| drop(connection.leak()));
    }
}

impl fmt::Debug for Pool {
    /// Leaves the options out: they have the password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool").field("place", &self.place).finish_non_exhaustive()
    }
}

/// Makes a connection outside of the pool, which retries some errors without a word.
pub(super) async fn connect(
    options: &PgConnectOptions,
    patience: Duration,
) -> Result<PgConnection, Fault> {
    within(patience, PgConnection::connect_with(options)).await
}

/// When a connection was lost last. Others may be gone with it, or lead to a server that is a
/// standby now, or is not the one that others lead to.
#[derive(Debug)]
pub(super) struct Suspicion {
    since: Mutex<Option<Instant>>,
    epochs: Epochs,
    /// Whether a pooler gives each transaction another connection, perhaps to another server.
    is_pooled: bool,
}

impl Suspicion {
    pub(super) fn new(epochs: Epochs, is_pooled: bool) -> Self {
        Self { since: Mutex::default(), epochs, is_pooled }
    }

    fn begin(&self) {
        *self.since.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
        self.epochs.end();
    }

    /// Notes which server a new connection leads to.
    async fn meets(&self, connection: &mut PgConnection) -> Result<(), sqlx::Error> {
        if self.is_pooled {
            return Ok(());
        }
        let (_, started) = look(connection).await?;
        // Whoever knows the new server suspects the connections to the former one.
        let mut since = self.since.lock().unwrap_or_else(PoisonError::into_inner);
        if self.epochs.meet(started) {
            *since = Some(Instant::now());
            self.epochs.end();
        }
        Ok(())
    }

    /// Whether a connection may be used.
    async fn admits(
        &self,
        connection: &mut PgConnection,
        age: Duration,
        idle_for: Duration,
    ) -> Result<bool, sqlx::Error> {
        let since = *self.since.lock().unwrap_or_else(PoisonError::into_inner);
        let is_suspect =
            since.is_some_and(|since| since.elapsed() < SUSPICIOUS && age >= since.elapsed());
        if !is_suspect && idle_for <= IDLE {
            return Ok(true);
        }
        let admitted = timeout(Duration::from_secs(5), self.is_current(connection)).await;
        let admitted = admitted.unwrap_or(Ok(false));
        if !matches!(admitted, Ok(true)) {
            self.begin();
        }
        admitted
    }

    /// Whether a connection leads to a server that takes writes, and to the one that the latest
    /// connections lead to.
    async fn is_current(&self, connection: &mut PgConnection) -> Result<bool, sqlx::Error> {
        let (takes_writes, started) = look(connection).await?;
        let is_same = self.is_pooled || self.epochs.current().started == Some(started);
        Ok(takes_writes && is_same)
    }
}

/// Whether the server, which may have become a standby, takes writes.
pub(super) async fn takes_writes(connection: &mut PgConnection) -> Result<bool, sqlx::Error> {
    Ok(look(connection).await?.0)
}

/// Returns whether the server takes writes, and when it started.
async fn look(connection: &mut PgConnection) -> Result<(bool, i64), sqlx::Error> {
    const LOOK: &str =
        concat!("SELECT current_setting('transaction_read_only') = 'off', ", started!());
    let row = raw_sql(LOOK).fetch_one(connection).await?;
    Ok((row.try_get(0)?, row.try_get(1)?))
}
