//! End to end: tasks are deferred with Google's own client, stored by the tests' server, pushed
//! over HTTP, and run by an application's service under its middleware.

mod app_engine;
mod dead_letters;
mod google;
mod letter_store;
mod letters;
mod payloads;
mod postponed;
mod relayed;
mod schemas;
mod shop;
