//! The memory backend is the model: the same random life gives the same results on Postgres.

#[path = "../../../tests/contract/model/mod.rs"]
mod model;
mod tested;
