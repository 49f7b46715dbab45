use gae_tasks::deferred;

#[deferred]
async fn store(value: u64, #[state] value: &u8) {
    println!("{value}");
}

fn main() {}
