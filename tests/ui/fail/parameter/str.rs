use gae_tasks::deferred;

#[deferred]
async fn store(value: &str) {
    println!("{value}");
}

fn main() {}
