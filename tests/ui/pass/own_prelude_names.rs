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

mod older {
    // What serde derives does not come through a `u8` of the module's own.
    #[derive(serde::Deserialize)]
    pub(super) struct StoreV1 {
        pub(super) value: super::String,
    }
}

fn from_v1(old: older::StoreV1) -> StoreArgs {
    StoreArgs { value: old.value, limit: 1 }
}

#[deferred(upgrade = from_v1)]
async fn store(#[default(String(1))] value: String, #[default] limit: u64) -> ::std::result::Result<(), ::std::string::String> {
    assert_eq!((value, limit), (String(5), 7));
    ::std::result::Result::Ok(())
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let tasks = gae_tasks::Client::open("memory:").await.unwrap();
    assert_eq!(tasks.run(store::defer(String(5), 7)).await.unwrap(), 1);
    assert!(store::KIND.ends_with("/store"));
}
