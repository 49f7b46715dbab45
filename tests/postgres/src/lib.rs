//! Throwaway PostgreSQL servers for the tests and benchmarks of the Postgres backend.
//!
//! A test that needs a database takes one of the cluster that all tests of its program share:
//!
//! ```no_run
//! # async fn example() -> Result<(), sqlx::Error> {
//! use gae_tasks_tests_postgres::Cluster;
//!
//! let database = Cluster::shared().await.database().await;
//! database.execute("CREATE TABLE orders (id bigint PRIMARY KEY)").await?;
//! # Ok(())
//! # }
//! ```
//!
//! A test that restarts or crashes its server starts one of its own, by [`Cluster::own`].
//!
//! What cannot be set up panics, and says what is missing. All servers run with the durability
//! that PostgreSQL has by default, in folders of their own below the temporary folder (`TMPDIR`).
//! They end with the program that started them, however it ends.

mod certificate;
mod cluster;
mod database;
mod folder;
mod leased;
mod owner;
mod pooler;
mod port;
mod process;
mod programs;
pub mod proxy;
pub mod raw;
mod refusal;
mod server;
mod skew;
mod standby;
#[cfg(feature = "backend")]
pub mod transactions;

pub use certificate::Certificate;
pub use cluster::Cluster;
pub use database::Database;
pub use leased::{LeaseTimes, assert_rate};
pub use pooler::Pooler;
pub use proxy::Proxy;
pub use refusal::Refusal;
pub use skew::Skew;
pub use standby::Standby;
