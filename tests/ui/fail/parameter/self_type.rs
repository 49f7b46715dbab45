use gae_tasks::deferred;

#[deferred]
async fn store(user: u64, value: Self) {
    println!("{user}");
}

fn main() {}
