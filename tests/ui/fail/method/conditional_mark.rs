use gae_tasks::deferred;
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
struct Invoice {
    number: u64,
}

#[deferred]
impl Invoice {
    #[cfg_attr(all(), deferred(queue = "mail"))]
    async fn send(&self) {
        println!("{}", self.number);
    }
}

fn main() {}
