use gae_tasks::deferred;

#[deferred]
async fn store(#[deferred(default)] value: u8) {
    println!("{value}");
}

fn main() {}
