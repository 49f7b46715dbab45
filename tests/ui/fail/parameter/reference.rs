use gae_tasks::deferred;

#[deferred]
async fn store(value: &Vec<u8>) {
    println!("{value:?}");
}

fn main() {}
