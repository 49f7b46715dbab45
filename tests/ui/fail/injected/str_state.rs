use gae_tasks::deferred;

#[deferred]
async fn store(#[state] value: &str) {
    println!("{value}");
}

fn main() {}
