use gae_tasks::deferred;

#[deferred]
async fn store(ref value: String) {
    println!("{value}");
}

fn main() {}
