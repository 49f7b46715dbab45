//! Push and Cloud Tasks over real sockets: one test binary, as each holds all of Google's client.

mod actix;
mod cloud_tasks;
mod end_to_end;
mod object_payloads;
mod service;
mod verify;
