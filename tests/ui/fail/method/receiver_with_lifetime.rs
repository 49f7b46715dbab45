use gae_tasks::deferred;
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
struct Invoice {
    number: u64,
}

#[deferred]
impl Invoice {
    #[deferred]
    async fn send(&'static self) {
        println!("{}", self.number);
    }
}

fn main() {}
