use gae_tasks::{Error, deferred};

#[deferred]
async fn store<T: std::fmt::Debug>(value: T, times: u8) {
    println!("{value:?} {times}");
}

async fn caller() -> Result<(), Error> {
    store::defer(vec![1, 2], 3).await?;
    StoreArgs { value: "x", times: 3 }.defer().await?;
    Ok(())
}

fn main() {
    drop(caller());
}
