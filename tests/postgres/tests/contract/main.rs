//! The Postgres backend against real servers.

mod commits;
mod conformance;
mod life;
mod neighbours;
mod news;
mod opening;
mod pooler;
mod rules;
mod services;
mod statements;
mod tasks;
