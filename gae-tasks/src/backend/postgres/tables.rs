//! The tables: made in a database without them, and recognized by their version and a digest of
//! their text.

use std::sync::LazyLock;

use sqlx::{AssertSqlSafe, PgConnection, Row};

use super::database::Database;
use super::error::Fault;
use super::url;
use crate::attributes::checksum;
use crate::error::Error;

/// The text of the tables, for the default schema.
const TABLES: &str = include_str!("tables/1.sql");

/// The version of the tables that this program knows.
const KNOWN: i64 = 1;

static DIGEST: LazyLock<i64> = LazyLock::new(|| checksum(TABLES.as_bytes()).cast_signed());

/// What is found in a database.
enum Found {
    Nothing,
    /// The tables that this program knows, with their random number.
    Known(i64),
    Newer(i64),
    Other,
}

/// Makes the schema and its tables, if they are missing, and returns the random number of the
/// tables. Concurrent starts wait for each other.
///
/// # Errors
/// [`Fault::Unfit`] if there are tables that this program does not know, or if they are missing and
/// the role may not make them.
pub(super) async fn ensure(database: &Database) -> Result<i64, Fault> {
    let mut connection = database.connection().await?;
    if let Some(identity) = find(database, &mut connection).await?.known(database)? {
        return Ok(identity);
    }
    drop(connection);
    make(database).await.map_err(|fault| match fault.code().as_deref() {
        Some("42501") => Fault::Unfit(not_allowed(database)),
        _ => fault,
    })
}

async fn make(database: &Database) -> Result<i64, Fault> {
    const LOCK: &str = "SELECT pg_advisory_xact_lock(hashtextextended('gae_tasks.version', 1))";
    const SCHEMA: &str = "SELECT EXISTS (SELECT FROM pg_namespace WHERE 'gae_tasks.' = \
                          quote_ident(nspname) || '.' OR 'gae_tasks.' = '\"' || nspname || '\".')";
    let mut work = database.begin().await?;
    database.query(LOCK).execute(&mut *work).await?;
    // Another process may have made the tables while this one waited.
    if let Some(identity) = find(database, &mut work).await?.known(database)? {
        return Ok(identity);
    }
    // Creating a schema that exists takes the same right as creating one.
    let is_there: bool = database.query(SCHEMA).fetch_one(&mut *work).await?.try_get(0)?;
    if !is_there {
        let create = AssertSqlSafe(create_schema(database.schema()));
        sqlx::raw_sql(create).execute(&mut *work).await?;
    }
    sqlx::raw_sql(AssertSqlSafe(sql(database.schema()))).execute(&mut *work).await?;
    let made = find(database, &mut work).await?.known(database)?;
    work.commit().await?;
    made.ok_or_else(|| Fault::Unreadable("the tables just made".to_owned()))
}

fn not_allowed(database: &Database) -> String {
    let (schema, options) = (database.schema(), database.options());
    let role = options.get_username();
    format!(
        "the tables of gae-tasks are missing, and the role `{role}` may not make them: `GRANT \
         CREATE ON DATABASE \"{}\" TO \"{role}\"`, or have the owner of the database run what \
         `gae_tasks::backend::postgres::migrations(..)` returns for the schema {schema}, and then \
         `GRANT USAGE ON SCHEMA {schema} TO \"{role}\"; GRANT SELECT, INSERT, UPDATE, DELETE ON \
         ALL TABLES IN SCHEMA {schema} TO \"{role}\"`",
        options.get_database().unwrap_or(role)
    )
}

/// Returns the SQL statements that create the tables of gae-tasks in `schema` (`gae_tasks`, unless
/// the URL says otherwise), for databases in which programs have no right to create tables.
///
/// Run them once, in one transaction; a program that opens the database then finds its tables. The
/// role of the programs needs `USAGE` on the schema, and `SELECT`, `INSERT`, `UPDATE` and `DELETE`
/// on all its tables.
///
/// # Errors
/// [`Error::Url`] if `schema` is not 1 to 63 lowercase letters, digits and underscores, the first
/// of which is no digit.
///
/// ```
/// let statements = gae_tasks::backend::postgres::migrations("gae_tasks")?;
/// assert!(statements.contains("CREATE TABLE"));
/// # Ok::<(), gae_tasks::Error>(())
/// ```
pub fn migrations(schema: &str) -> Result<String, Error> {
    if !url::is_schema(schema) {
        let problem = "is not the name of a schema: use 1 to 63 lowercase letters, digits and \
                       underscores, the first of which is no digit";
        return Err(Error::Url { url: schema.to_owned(), problem: problem.to_owned() });
    }
    let schema = format!("\"{schema}\"");
    Ok(create_schema(&schema) + &sql(&schema))
}

fn create_schema(schema: &str) -> String {
    format!("CREATE SCHEMA IF NOT EXISTS {schema};\n\n")
}

/// Returns the statements that make the tables.
fn sql(schema: &str) -> String {
    let tables = TABLES.replace("gae_tasks.", &format!("{schema}."));
    let (known, digest) = (KNOWN, *DIGEST);
    format!(
        "{tables}\nINSERT INTO {schema}.version (version, digest, identity) VALUES ({known}, \
         {digest}, ('x' || substr(replace(gen_random_uuid()::text, '-', ''), \
         17))::bit(64)::bigint);\n"
    )
}

async fn find(database: &Database, connection: &mut PgConnection) -> Result<Found, Fault> {
    const OURS: &str = "SELECT to_regclass('gae_tasks.version') IS NOT NULL, \
                        to_regclass('gae_tasks.task') IS NOT NULL";
    const VERSION: &str = "SELECT * FROM gae_tasks.version";
    let ours = database.query(OURS).fetch_one(&mut *connection).await?;
    let (has_version, has_tasks): (bool, bool) = (ours.try_get(0)?, ours.try_get(1)?);
    if !has_version {
        return Ok(if has_tasks { Found::Other } else { Found::Nothing });
    }
    let rows = database.query(VERSION).fetch_all(connection).await?;
    // Other versions of the crate have other columns.
    let number = |row: &sqlx::postgres::PgRow, column: &str| row.try_get::<i64, _>(column).ok();
    let found: Vec<_> =
        rows.iter().map(|row| (number(row, "version"), number(row, "digest"))).collect();
    if found == [(Some(KNOWN), Some(*DIGEST))]
        && let Some(identity) = rows.first().and_then(|row| number(row, "identity"))
    {
        return Ok(Found::Known(identity));
    }
    let newest = found.iter().filter_map(|(version, _)| *version).max();
    Ok(newest.filter(|newest| *newest > KNOWN).map_or(Found::Other, Found::Newer))
}

impl Found {
    /// Returns the random number of the tables, if they exist; an error if this program must not
    /// touch them.
    fn known(&self, database: &Database) -> Result<Option<i64>, Fault> {
        let schema = database.schema();
        let problem = match self {
            Self::Nothing => return Ok(None),
            Self::Known(identity) => return Ok(Some(*identity)),
            Self::Newer(version) => format!(
                "the tables in schema {schema} are of version {version}, this program knows \
                 version {KNOWN}: update gae-tasks in this program, or name another schema"
            ),
            Self::Other => format!(
                "the tables in schema {schema} are of another program, or were made by another \
                 development version of gae-tasks: name another schema (`?schema=..`), or drop \
                 this one"
            ),
        };
        Err(Fault::Unfit(problem))
    }
}
