use std::sync::Arc;

use gae_tasks::deferred;
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
struct Invoice {
    number: u64,
}

#[deferred]
impl Invoice {
    #[deferred]
    fn boxed(self: Box<Self>) {
        println!("{}", self.number);
    }

    #[deferred]
    async fn shared(self: Arc<Self>) {
        println!("{}", self.number);
    }

    #[deferred]
    fn fine(self: &Self) {
        println!("{}", self.number);
    }
}

fn main() {
    drop(Invoice { number: 1 }.defer_fine());
    drop(Invoice { number: 1 }.defer_boxed());
}
