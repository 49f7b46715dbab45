//! The test kit: run tasks where a test can see them, move the clock, break the storage.
//!
//! Three verbs: [`perform`](crate::Client::perform) calls one task without storing it, [`drain`](crate::Client::drain)
//! runs what is stored, [`run`](crate::Client::run) defers and drains. Each test has a client of its own, so tests run
//! in parallel:
//!
//! ```standalone_crate
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), gae_tasks::Error> {
//! use gae_tasks::testing::assert_deferred;
//! use gae_tasks::{Client, deferred};
//!
//! #[deferred(queue = "emails")]
//! async fn send_welcome(user_id: u64) {}
//!
//! async fn sign_up(user_id: u64) -> Result<(), gae_tasks::Error> {
//!     send_welcome::defer(user_id).await?;
//!     Ok(())
//! }
//!
//! let tasks = Client::open("memory:").await?;
//! tasks.scope(sign_up(42)).await?;
//!
//! assert_deferred!(tasks, send_welcome, |args| args.user_id == 42);
//! assert_eq!(tasks.drain().await?, 1);
//! # Ok(())
//! # }
//! ```

mod assert;
mod clock;
#[doc(hidden)]
pub mod conformance;
mod faulty;
#[cfg(feature = "push")]
mod push;
mod verbs;

pub use crate::{assert_deferred, assert_not_deferred};
#[doc(hidden)]
pub use assert::{matching, panic_not_deferred};
pub use clock::ManualClock;
pub use faulty::{Fault, Faulty, Operation};
