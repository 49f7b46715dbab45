//! Tests that need a process of their own, for its one default client and its one cache.

mod cache;
#[cfg(feature = "sqlite")]
mod inline;
mod install;
