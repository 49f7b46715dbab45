//! The push service through tower: its responses, checks, dead letters and mounts.

mod build;
mod caps;
mod context;
mod guards;
mod hyper;
mod logs;
mod memory;
mod mounts;
mod rolling;
pub(crate) mod stage;
pub(crate) mod status;
mod ticks;
