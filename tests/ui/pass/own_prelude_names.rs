#![allow(dead_code, non_camel_case_types)]

use gae_tasks::{Task, deferred};
use serde::{Deserialize, Serialize};

struct Result;
struct Option;
struct Box;
struct Vec;
struct Ok;
struct Some;
struct u8;
mod core {}
mod std {}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct String(u64);

#[deferred]
async fn store(value: String) -> ::std::result::Result<(), ::std::string::String> {
    assert_eq!(value, String(5));
    ::std::result::Result::Ok(())
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let tasks = gae_tasks::Client::open("memory:").await.unwrap();
    assert_eq!(tasks.run(store::defer(String(5))).await.unwrap(), 1);
    assert!(store::KIND.ends_with("/store"));
}
