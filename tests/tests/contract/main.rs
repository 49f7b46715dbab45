//! Every backend keeps the contract of `Backend` and `Pull`: case by case, and through random lives.

mod conformance;
mod model;
