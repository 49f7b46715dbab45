use gae_tasks::{Error, deferred};

#[deferred]
async fn store(value: u64, value: String, #[state] value: &u8) {
    println!("{value}");
}

async fn caller() -> Result<(), Error> {
    store(1, "a".to_owned(), &2).await;
    Ok(())
}

fn main() {
    drop(caller());
}
