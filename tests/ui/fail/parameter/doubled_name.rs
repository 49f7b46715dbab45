use gae_tasks::{Error, deferred};

#[deferred]
async fn store(value: u64, value: String) {
    println!("{value}");
}

async fn caller() -> Result<(), Error> {
    store(1, "a".to_owned()).await;
    Ok(())
}

fn main() {
    drop(caller());
}
