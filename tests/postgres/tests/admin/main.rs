//! Reading and changing stored tasks and queues: what a database shows of it that the conformance
//! suite cannot see.

mod delete_queue;
mod held;
mod lost;
mod pages;
mod purge;
mod queues;
mod reads;
mod stage;
mod unreadable;
