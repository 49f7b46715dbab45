//! The pool of connections: which of them are checked before they are used again, and why none is
//! to be had.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use sqlx::pool::{PoolConnection, PoolConnectionMetadata};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{AssertSqlSafe, Connection, PgConnection, PgPool, Postgres, Row};
use tokio::time::timeout;

use super::error::Fault;
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
}

impl Pool {
    /// Creates a pool of up to `most` connections, none of which is made yet. The place is the
    /// database's, for errors: never the password.
    pub(super) fn new(options: PgConnectOptions, most: u32, place: String) -> Self {
        let suspicion = Arc::new(Suspicion::default());
        let judge = Arc::clone(&suspicion);
        let pool = PgPoolOptions::new()
            .max_connections(most)
            .acquire_timeout(PATIENCE)
            .test_before_acquire(false)
            .before_acquire(move |connection, meta| {
                let judge = Arc::clone(&judge);
                Box::pin(async move { judge.admits(connection, meta).await })
            })
            .connect_lazy_with(options.clone());
        Self { pool, options, place, suspicion }
    }

    pub(super) fn place(&self) -> &str {
        &self.place
    }

    pub(super) const fn options(&self) -> &PgConnectOptions {
        &self.options
    }

    pub(super) async fn acquire(&self) -> Result<PoolConnection<Postgres>, sqlx::Error> {
        self.pool.acquire().await
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
/// standby now.
#[derive(Debug, Default)]
struct Suspicion(Mutex<Option<Instant>>);

impl Suspicion {
    fn begin(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
    }

    /// Whether a connection may be used.
    async fn admits(
        &self,
        connection: &mut PgConnection,
        meta: PoolConnectionMetadata,
    ) -> Result<bool, sqlx::Error> {
        let since = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_suspect =
            since.is_some_and(|since| since.elapsed() < SUSPICIOUS && meta.age >= since.elapsed());
        let check = async {
            if is_suspect {
                return takes_writes(connection).await;
            }
            if meta.idle_for > IDLE {
                connection.ping().await?;
            }
            Ok(true)
        };
        timeout(Duration::from_secs(5), check).await.unwrap_or(Ok(false))
    }
}

/// Whether the server, which may have become a standby, takes writes.
pub(super) async fn takes_writes(connection: &mut PgConnection) -> Result<bool, sqlx::Error> {
    let row = sqlx::raw_sql(AssertSqlSafe("SHOW transaction_read_only")).fetch_one(connection);
    Ok(row.await?.try_get::<String, _>(0)? == "off")
}
