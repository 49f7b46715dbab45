use gae_tasks::deferred;

#[deferred]
async fn store(value: &'static str) {
    println!("{value}");
}

fn main() {}
