//! Payloads too large to travel with their tasks, on every backend, with a payload store that does not always work.

mod defer;
mod life;
mod shelf;
mod sweep;
mod trouble;
