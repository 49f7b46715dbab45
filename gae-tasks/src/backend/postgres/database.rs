//! The connections of a process to its database, and the text of statements.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use sqlx::postgres::{PgArguments, PgConnectOptions};
use sqlx::query::Query;
use sqlx::{AssertSqlSafe, Postgres, SqlSafeStr, SqlStr};

use super::epoch::{Epochs, started};
use super::error::Fault;
use super::pool::Pool;
pub(super) use super::work::Work;
use crate::time::Now;

/// The schema that statements are written for.
pub(super) const DEFAULT_SCHEMA: &str = "gae_tasks";

/// The moment of a request: `$1`, or the clock of the database where it is null.
macro_rules! moment {
    () => {
        "coalesce($1, (extract(epoch FROM clock_timestamp()) * 1000000)::bigint)"
    };
}
pub(super) use moment;

/// Begins a transaction, whatever isolation the role or the database is set to: statements must see
/// what others have committed. Behind a pooler, the last statement returns when the server
/// started.
macro_rules! begin {
    ($settings:literal) => {
        [
            concat!("BEGIN ISOLATION LEVEL READ COMMITTED", $settings),
            concat!(
                "BEGIN ISOLATION LEVEL READ COMMITTED; SET LOCAL jit = off; SET LOCAL \
                 enable_seqscan = off; SET LOCAL enable_bitmapscan = off; SET LOCAL \
                 enable_hashjoin = off; SET LOCAL enable_mergejoin = off; SET LOCAL \
                 plan_cache_mode = force_generic_plan",
                $settings,
                "; SELECT ",
                started!()
            ),
        ]
    };
}

/// Begins a transaction: on a session, and behind a pooler. That gives each transaction
/// a connection which others have used, so the transaction has the settings which
/// sessions have otherwise.
const BEGIN: [&str; 2] = begin!("");

/// Begins a transaction that waits for a lock only for a moment.
const BEGIN_IMPATIENT: [&str; 2] = begin!("; SET LOCAL lock_timeout = '2s'");

/// How many connections are tried to begin a transaction.
const TRIES: u32 = 3;

/// Returns the time of a request as the parameter of [`moment`].
pub(super) const fn at(now: Now) -> Option<i64> {
    match now {
        Now::At(at) => Some(at.as_micros()),
        Now::Storage => None,
    }
}

/// A database.
#[derive(Debug)]
pub(super) struct Database {
    pool: Pool,
    /// A connection that only renewals of leases use, so that they wait for no other call.
    renewals: Pool,
    /// The schema of the tables, as an identifier of SQL.
    schema: String,
    /// Whether a pooler gives each transaction another connection.
    is_pooled: bool,
    epochs: Epochs,
    /// Statements for another schema than the default, by the address and the length of their text:
    /// a text may be the beginning of another one.
    texts: Mutex<HashMap<(usize, usize), Arc<str>>>,
}

impl Database {
    pub(super) fn new(
        pool: Pool,
        renewals: Pool,
        schema: &str,
        is_pooled: bool,
        epochs: Epochs,
    ) -> Self {
        let schema = format!("\"{}\"", schema.replace('"', "\"\""));
        Self { pool, renewals, schema, is_pooled, epochs, texts: Mutex::default() }
    }

    /// Returns where the database is, for errors and logs.
    pub(super) fn place(&self) -> &str {
        self.pool.place()
    }

    /// Returns the schema, as an identifier of SQL.
    pub(super) fn schema(&self) -> &str {
        &self.schema
    }

    /// Returns how connections are made.
    pub(super) fn options(&self) -> &PgConnectOptions {
        self.pool.options()
    }

    /// Whether a pooler gives each transaction another connection.
    pub(super) const fn is_pooled(&self) -> bool {
        self.is_pooled
    }

    /// Returns a statement, which is written for the default schema, for this database's own.
    pub(super) fn sql(&self, text: &'static str) -> SqlStr {
        if self.schema.trim_matches('"') == DEFAULT_SCHEMA {
            return text.into_sql_str();
        }
        let mut texts = self.texts.lock().unwrap_or_else(PoisonError::into_inner);
        let own = || text.replace("gae_tasks.", &format!("{}.", self.schema)).into();
        let text = texts.entry((text.as_ptr().addr(), text.len())).or_insert_with(own);
        AssertSqlSafe(Arc::clone(text)).into_sql_str()
    }

    /// Returns a query of the [statement](Self::sql), which is planned anew: a plan that was made
    /// while a table was empty may read all of it later.
    pub(super) fn query(&self, text: &'static str) -> Query<'static, Postgres, PgArguments> {
        sqlx::query(self.sql(text)).persistent(false)
    }

    /// Returns a query of a statement that has only one plan, whatever is in the tables. It is
    /// prepared once for each connection; behind a pooler, nothing is kept from one transaction to
    /// the next.
    pub(super) fn prepared(&self, text: &'static str) -> Query<'static, Postgres, PgArguments> {
        sqlx::query(self.sql(text)).persistent(!self.is_pooled)
    }

    /// Returns a connection for statements that commit one by one. If the statements write,
    /// [`Work::commit`] must follow: behind a pooler they are in a transaction.
    pub(super) async fn connection(&self) -> Result<Work, Fault> {
        self.connection_of(&self.pool).await
    }

    /// As [`connection`](Self::connection), for renewals of leases.
    pub(super) async fn renewing(&self) -> Result<Work, Fault> {
        self.connection_of(&self.renewals).await
    }

    async fn connection_of(&self, pool: &Pool) -> Result<Work, Fault> {
        if self.is_pooled {
            return self.begin_on(pool, BEGIN).await;
        }
        let server = self.epochs.current().started;
        Ok(Work::new(pool.acquire().await?, server))
    }

    /// Begins a transaction.
    pub(super) async fn begin(&self) -> Result<Work, Fault> {
        self.begin_on(&self.pool, BEGIN).await
    }

    /// Begins a transaction that waits only for two seconds for what others have locked.
    pub(super) async fn begin_impatient(&self) -> Result<Work, Fault> {
        self.begin_on(&self.pool, BEGIN_IMPATIENT).await
    }

    async fn begin_on(
        &self,
        pool: &Pool,
        [direct, pooled]: [&'static str; 2],
    ) -> Result<Work, Fault> {
        let text = if self.is_pooled { pooled } else { direct };
        let mut tries = 0;
        loop {
            tries += 1;
            // Looked up before the connection is chosen: if another server is met meanwhile, the
            // work counts as that of the former one, and whoever compares begins once more.
            let server = self.epochs.current().started;
            // Nothing has happened yet, so a connection that was lost meanwhile costs nothing.
            match Work::begin(pool.acquire().await?, server, text).await {
                Err(fault) if fault.is_of_connection() && tries < TRIES => self.suspect(),
                Err(fault) => return Err(fault),
                Ok((work, started)) => {
                    if let Some(started) = started {
                        self.epochs.meet(started);
                    }
                    return Ok(work);
                }
            }
        }
    }

    /// Has the connections that there are checked before they are used again, if the fault may be
    /// that of all of them.
    pub(super) fn heed(&self, fault: &Fault) {
        if fault.is_of_connection() || fault.is_read_only() {
            self.suspect();
        }
    }

    /// Has the connections that there are checked before they are used again, and what is
    /// remembered of the database looked up again.
    pub(super) fn suspect(&self) {
        // Both pools share the suspicion.
        self.pool.suspect();
    }

    /// Returns the fault, or the one behind it, if no connection was to be had.
    pub(super) async fn explain(&self, fault: Fault) -> Fault {
        self.heed(&fault);
        self.pool.explain(fault).await
    }
}
