use gae_tasks::{Error, deferred};

#[deferred]
async fn store(user: u64, value: str) {
    println!("{user}{}", &value);
}

#[deferred]
fn list(values: [u8]) {
    println!("{}", values.len());
}

async fn caller() -> Result<(), Error> {
    store::defer(1, "a").await?;
    store(1, "a").await;
    StoreArgs { user: 1, value: "a" }.defer().await?;
    Ok(())
}

fn main() {
    drop(caller());
}
