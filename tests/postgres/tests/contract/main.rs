//! The Postgres backend against real servers.

mod commits;
mod conformance;
mod news;
mod opening;
mod pooler;
mod rules;
mod tasks;
