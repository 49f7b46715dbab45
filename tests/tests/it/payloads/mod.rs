//! Payloads too large to be stored with their tasks, on every backend, with a payload store that
//! may fail.

mod defer;
mod deploy;
mod described;
mod life;
mod shelf;
mod sweep;
mod trouble;
