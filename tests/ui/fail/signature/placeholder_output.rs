use gae_tasks::deferred;

#[deferred]
async fn store() -> Result<_, String> {
    Ok(())
}

fn main() {}
