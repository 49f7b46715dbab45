use gae_tasks::deferred;
use serde::Deserialize;

#[derive(Deserialize)]
struct Invoice {
    number: u64,
}

#[deferred]
impl Invoice {
    #[deferred]
    async fn send(&self, to: String) {
        println!("{to} {}", self.number);
    }
}

fn main() {
    drop(Invoice { number: 1 }.defer_send("you"));
}
