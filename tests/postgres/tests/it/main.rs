//! What the harness promises to the tests that use it.

mod cluster;
mod pooler;
mod proxy;
mod raw;
mod standby;
