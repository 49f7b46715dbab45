//! The place where a backend stores tasks, if a transaction of an application can be there too.

use std::fmt;
#[cfg(feature = "sqlite")]
use std::path::Path;
#[cfg(feature = "postgres")]
use std::pin::Pin;
#[cfg(any(feature = "postgres", feature = "sqlite"))]
use std::sync::Arc;
#[cfg(feature = "postgres")]
use std::time::Duration;

#[cfg(feature = "postgres")]
use sqlx::SqlStr;

#[cfg(feature = "postgres")]
use super::request::NewTask;
#[cfg(feature = "postgres")]
use crate::error::Error;
#[cfg(feature = "postgres")]
use crate::queue::QueueName;
#[cfg(feature = "postgres")]
use crate::task::{TaskId, TaskName};

/// The place where a backend stores tasks, if a transaction of an application can be in the same
/// place: a file of SQLite, or a schema in a Postgres database. Its `Display` text names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Home(pub(crate) Place);

/// The sorts of places.
#[derive(Debug, Clone)]
pub(crate) enum Place {
    /// A file of SQLite.
    #[cfg(feature = "sqlite")]
    File(SqliteFile),
    /// A schema in a Postgres database.
    #[cfg(feature = "postgres")]
    Schema(Arc<dyn PostgresSchema>),
    /// None: a build without such backends.
    #[cfg(not(any(feature = "postgres", feature = "sqlite")))]
    #[allow(dead_code)]
    Nowhere,
}

/// A file of SQLite.
#[cfg(feature = "sqlite")]
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SqliteFile {
    pub(crate) path: Arc<Path>,
    /// The identity of the file among those of the host, whatever its path: device and inode. Zeros
    /// where the operating system does not have them.
    pub(crate) identity: [u64; 2],
}

/// The answer of a client's own connections.
#[cfg(feature = "postgres")]
pub(crate) type Reply<T> = Pin<Box<dyn Future<Output = Result<T, Error>> + Send>>;

/// Tasks whose shared rows are committed.
#[cfg(feature = "postgres")]
#[derive(Debug)]
pub(crate) struct Prepared {
    /// The tasks, with the lane of each.
    pub(crate) tasks: Vec<(NewTask, i64)>,
    /// When the server started that has the rows: another one may lack them.
    pub(crate) server: Option<i64>,
}

/// What a transaction of an application needs of the client's own connections.
#[cfg(feature = "postgres")]
pub(crate) trait PostgresSchema: fmt::Debug + Send + Sync {
    /// The host and the database, for errors.
    fn place(&self) -> &str;

    /// The schema, as an identifier of SQL.
    fn schema(&self) -> &str;

    /// Returns a statement, which is written for the default schema, for this one. The names of its
    /// tables are whole, as the connection may be the application's.
    fn sql(&self, text: &'static str) -> SqlStr;

    /// The random number that the tables were given when they were made: no other tables have it,
    /// unless they are a copy.
    fn identity(&self) -> i64;

    /// Whether the client reaches the database through a pooler, which gives each transaction
    /// another connection: statements are not prepared for longer then.
    fn is_pooled(&self) -> bool;

    /// Commits the rows that these tasks share with others.
    fn prepare(&self, tasks: Vec<NewTask>) -> Reply<Prepared>;

    /// Has what is known of the database looked up again: a transaction of the application is on
    /// another server than the one that tasks were prepared on.
    fn doubt(&self);

    /// Returns the tasks that hold these names, or held them recently, as committed by now.
    fn holders(&self, names: Vec<(QueueName, TaskName)>) -> Reply<Vec<Option<TaskId>>>;

    /// Returns for how long the names of finished tasks are blocked.
    fn blocks_names(&self, queue: &QueueName) -> Duration;

    /// Wakes workers once the transaction with this number has committed.
    fn wake_after(&self, transaction: u64);
}

impl Home {
    /// Whether this is the same place as another, by whatever path.
    pub(crate) fn is(&self, other: &Self) -> bool {
        match (&self.0, &other.0) {
            #[cfg(feature = "sqlite")]
            (Place::File(one), Place::File(other)) if one.identity != [0, 0] => {
                one.identity == other.identity
            }
            _ => self == other,
        }
    }
}

impl PartialEq for Place {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            #[cfg(feature = "sqlite")]
            (Self::File(one), Self::File(other)) => one == other,
            #[cfg(feature = "postgres")]
            (Self::Schema(one), Self::Schema(other)) => one.identity() == other.identity(),
            #[allow(unreachable_patterns)] // With one feature, there is one sort.
            _ => false,
        }
    }
}

impl Eq for Place {}

impl fmt::Display for Home {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            #[cfg(feature = "sqlite")]
            Place::File(file) => write!(f, "{}", file.path.display()),
            #[cfg(feature = "postgres")]
            Place::Schema(schema) => write!(f, "{} at {}", schema.schema(), schema.place()),
            #[cfg(not(any(feature = "postgres", feature = "sqlite")))]
            Place::Nowhere => f.write_str("nowhere"),
        }
    }
}
