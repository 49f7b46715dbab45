use gae_tasks::deferred;

#[deferred]
async fn store(#[state(Vec<u8>)] value: &Vec<u8>) {
    println!("{value:?}");
}

fn main() {}
