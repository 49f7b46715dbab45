//! Push and Cloud Tasks over real sockets, in one test binary, because each binary contains
//! Google's large client.

mod actix;
mod cloud_tasks;
mod end_to_end;
mod object_payloads;
mod relay;
mod rolling;
mod running;
mod service;
mod verify;
