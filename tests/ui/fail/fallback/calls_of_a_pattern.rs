use gae_tasks::{Error, deferred};

#[deferred]
async fn store((a, b): (u8, u8), _: u64) {
    println!("{a} {b}");
}

async fn caller() -> Result<(), Error> {
    store::defer((1, 2), 3).await?;
    StoreArgs { arg0: (1, 2), arg1: 3 }.defer().await?;
    Ok(())
}

fn main() {
    drop(caller());
}
