//! Tasks in transactions of the application in a Postgres database: stored and completed when they
//! commit.

mod cancelled;
mod completed;
mod delayed;
mod moved;
mod names;
mod plans;
mod shared;
mod stage;
mod stored;
mod unique;
