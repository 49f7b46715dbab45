//! Loops of bare SQL on one narrow table: what a queue in PostgreSQL could reach at best.
//!
//! The table has an id, a time, a state and a payload of 70 bytes, a primary key and one partial
//! index; a framework stores more. Compare figures of one server and one run only. The tables are
//! in a schema of their own, `gae_tasks_raw`: [`create`] empties it, [`remove`] drops it.

mod drain;
mod enqueue;
mod figures;
mod latency;
mod rows;
mod tables;
mod transaction;

pub use self::drain::drain;
pub use self::enqueue::{Means, enqueue_coalesced, insert_many};
pub use self::figures::{Rate, Times};
pub use self::latency::latency;
pub use self::tables::{create, fill, remove};
pub use self::transaction::{insert_business_row, transactions};
