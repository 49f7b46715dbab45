#![allow(non_upper_case_globals, non_camel_case_types, dead_code)]

// Parameters and items with the names of variables in the expansion.
use gae_tasks::{Client, deferred};

const call: u8 = 1;
static args: u8 = 2;
struct context;
fn run() {}

#[deferred]
async fn work(payload: u8, f: u8, error: u8, db: u8) {
    assert_eq!((payload, f, error, db), (1, 2, 3, 4));
    run();
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let tasks = Client::open("memory:").await.unwrap();
    assert_eq!(tasks.run(work::defer(1, 2, 3, 4)).await.unwrap(), 1);
}
