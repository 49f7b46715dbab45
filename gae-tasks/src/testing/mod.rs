//! The test kit: run tasks inside a test, move the clock, make the storage fail.
//!
//! Three verbs: [`perform`](crate::Client::perform) calls one task without storing it,
//! [`drain`](crate::Client::drain) runs the stored tasks, [`run`](crate::Client::run) defers a task
//! and drains. Each test has its own client, so tests run in parallel. The
//! [guide](crate::guide::testing) has examples.

mod assert;
mod clock;
#[doc(hidden)]
pub mod conformance;
mod faulty;
mod lock;
#[doc(hidden)]
pub mod pair;
#[cfg(feature = "push")]
mod push;
mod verbs;

pub use crate::{assert_deferred, assert_lock, assert_not_deferred};
#[doc(hidden)]
pub use assert::{matching, panic_not_deferred};
pub use clock::ManualClock;
pub use faulty::{Fault, Faulty, Operation};
#[doc(hidden)]
pub use lock::{Caller, assert_locked, has_library};
