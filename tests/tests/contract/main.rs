//! Every backend keeps the contract of `Backend` and `Pull`: case by case, and through random lives.

mod answers;
mod conformance;
mod model;
mod shelf;
mod spilled;
mod spilling;
