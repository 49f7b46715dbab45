use gae_tasks::deferred;
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
struct Invoice {
    number: u64,
}

#[deferred]
impl Invoice {
    #[deferred]
    fn send(&self, receiver: String) {
        println!("{} {receiver}", self.number);
    }
}

fn main() {}
