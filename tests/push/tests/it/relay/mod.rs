//! Relays from a storage to the Cloud Tasks server.

mod kills;
mod refusals;
mod stage;
mod travel;
mod troubles;
