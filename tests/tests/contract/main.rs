//! Tests of the contract of `Backend` and `Pull` on every backend: single cases, and random lives.

mod answers;
mod conformance;
mod model;
mod shelf;
mod spilled;
mod spilling;
mod tested;
