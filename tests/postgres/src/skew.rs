//! A database whose clock a test sets.

use crate::database::Database;

/// Puts a function of the same name before PostgreSQL's own.
const CLOCK: &str = "CREATE SCHEMA fake; CREATE TABLE fake.skew (seconds bigint); INSERT INTO \
                     fake.skew VALUES (0); CREATE FUNCTION fake.clock_timestamp() RETURNS \
                     timestamptz LANGUAGE plpgsql VOLATILE AS $$ BEGIN RETURN \
                     pg_catalog.clock_timestamp() + (SELECT seconds FROM fake.skew) * interval '1 \
                     second'; END $$";

/// The clock of a database, for connections that are made after it was replaced.
#[derive(Clone, Debug)]
pub struct Skew {
    database: Database,
}

impl Skew {
    /// Replaces the clock of a database by one that goes alike, until it is set.
    ///
    /// # Panics
    ///
    /// If the server does not answer.
    pub async fn of(database: &Database) -> Self {
        let name = database.name();
        let set = format!("ALTER DATABASE {name} SET search_path = fake, pg_catalog, public");
        for statement in [CLOCK, &set] {
            database.execute(statement).await.expect("the server answers");
        }
        Self { database: database.clone() }
    }

    /// Sets the clock so many seconds before the machine's, or behind it if negative.
    ///
    /// # Panics
    ///
    /// If the server does not answer, or has another clock all the same.
    pub async fn set(&self, seconds: i64) {
        const SKEW: &str =
            "SELECT extract(epoch FROM clock_timestamp() - pg_catalog.clock_timestamp())::bigint";
        let set = format!("UPDATE fake.skew SET seconds = {seconds}");
        self.database.execute(&set).await.expect("the server answers");
        let skew: i64 = self.database.value(SKEW).await.expect("the server answers");
        assert_eq!(skew, seconds, "the clock is not replaced");
    }
}
