//! Chaos tests of several processes that are killed, stopped, given wrong clocks or a full disk.
//!
//! Random tests print their seed; `CHAOS_SEED=..` repeats a seed. `CHAOS_FULL=1` runs the long
//! forms: freezes of a minute, and waits for leases of 30 seconds.
#![cfg(all(feature = "sqlite", unix))]

mod backup;
mod clock;
mod disk;
mod freeze;
mod fresh;
mod hiccups;
mod place;
mod producers;
mod retention;
mod signals;
mod stage;
mod suspects;
