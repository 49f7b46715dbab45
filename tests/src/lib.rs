//! Tests of gae-tasks that need more than one crate; see `tests/`, `ui/` and `crates/`.

pub mod chaos;
pub mod rates;
pub mod ticks;
#[cfg(feature = "sqlite")]
pub mod transactions;
