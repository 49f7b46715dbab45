//! Tests that want a process without all the others: for its one client, and for its one cache.

mod cache;
mod install;
