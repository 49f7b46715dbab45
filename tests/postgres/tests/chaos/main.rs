//! The chaos tests on Postgres: those of SQLite but for what only files have, and what servers and
//! networks do.
//!
//! Random tests print their seed; `CHAOS_SEED=..` repeats a seed. `CHAOS_FULL=1` runs the long
//! forms.

mod application;
#[path = "../../../tests/chaos/clock.rs"]
mod clock;
mod database_clock;
mod drain;
mod failover;
#[path = "../../../tests/chaos/freeze.rs"]
mod freeze;
#[path = "../../../tests/chaos/fresh.rs"]
mod fresh;
#[path = "../../../tests/chaos/hiccups.rs"]
mod hiccups;
mod limits;
mod load;
mod network;
mod place;
mod pool;
mod presence;
#[path = "../../../tests/chaos/producers.rs"]
mod producers;
mod restarts;
#[path = "../../../tests/chaos/retention.rs"]
mod retention;
#[path = "../../../tests/chaos/signals.rs"]
mod signals;
#[path = "../../../tests/chaos/stage.rs"]
mod stage;
#[path = "../../../tests/chaos/suspects.rs"]
mod suspects;
mod transactions;
mod wakeups;
