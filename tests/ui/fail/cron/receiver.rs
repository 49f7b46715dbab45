use gae_tasks::deferred;
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
struct Invoice {
    number: u64,
}

#[deferred]
impl Invoice {
    #[deferred(cron = "@daily")]
    async fn send(&self) {
        println!("{}", self.number);
    }

    #[deferred(cron = "@daily", cron_args(self = Self { number: 1 }))]
    async fn archive(&self) {
        println!("{}", self.number);
    }

    #[deferred(cron = "@daily")]
    fn count() {}
}

fn main() {}
