//! What a worker must come through: handlers that hang, leases that are lost, storage that is away, time that jumps.
//!
//! Time passes here when a test says so, and no faster than the worker follows; nothing sleeps.

mod clock;
mod handlers;
mod leases;
mod panics;
mod payloads;
mod recovery;
mod retries;
mod shutdown;
mod stage;
mod storage;
mod suspects;
