//! The push service through tower: what it answers, whom it believes, what it keeps, and how it is mounted.

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
