//! Hardships of a worker: hanging handlers, lost leases, storage outages, clock jumps.
//!
//! Time passes only when a test moves the clock, and no faster than the worker follows; no test
//! sleeps.

mod cancel;
mod clock;
mod handlers;
mod leases;
mod locked;
mod panics;
mod payloads;
mod recovery;
mod retries;
mod shutdown;
mod stage;
mod storage;
mod suspects;
