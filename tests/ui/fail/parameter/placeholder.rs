use gae_tasks::{Error, deferred};

#[deferred]
async fn store(values: Vec<_>, #[state] db: &Option<_>) {
    println!("{values:?}{db:?}");
}

async fn caller() -> Result<(), Error> {
    store::defer(vec![1]).await?;
    Ok(())
}

fn main() {
    drop(caller());
}
