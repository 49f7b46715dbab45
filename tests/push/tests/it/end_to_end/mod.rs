//! The whole way: deferred with Google's own client, kept by the server of these tests, pushed over HTTP, run by the
//! user's service under the user's middleware.

mod app_engine;
mod dead_letters;
mod google;
mod letter_store;
mod letters;
mod payloads;
mod postponed;
mod shop;
