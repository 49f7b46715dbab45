use gae_tasks::deferred;

#[deferred]
async fn store(#[state] value: &'static Vec<u8>) {
    println!("{value:?}");
}

fn main() {}
