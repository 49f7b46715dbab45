//! Processes under chaos: killed, stopped, with wrong clocks, with no room, beside each other.
//!
//! What is random prints its seed; `CHAOS_SEED=..` repeats it. `CHAOS_FULL=1` takes the long forms: freezes of a minute,
//! leases of 30 seconds waited for.
#![cfg(all(feature = "sqlite", unix))]

mod backup;
mod clock;
mod disk;
mod freeze;
mod fresh;
mod hiccups;
mod producers;
mod retention;
mod signals;
mod stage;
mod suspects;
