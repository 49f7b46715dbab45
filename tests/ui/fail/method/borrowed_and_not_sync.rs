use std::cell::Cell;

use gae_tasks::deferred;
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
struct Invoice {
    number: Cell<u64>,
}

#[deferred]
impl Invoice {
    // The future keeps a reference to the receiver, and moves between threads.
    #[deferred]
    async fn send(&self) {
        println!("{}", self.number.get());
    }

    #[deferred]
    async fn archive(self) {
        println!("{}", self.number.get());
    }

    #[deferred]
    fn print(&self) {
        println!("{}", self.number.get());
    }
}

fn main() {}
