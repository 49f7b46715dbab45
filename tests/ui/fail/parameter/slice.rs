use gae_tasks::deferred;

#[deferred]
async fn store(value: &[u8]) {
    println!("{value:?}");
}

fn main() {}
