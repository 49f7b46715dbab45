use gae_tasks::deferred;

#[deferred]
async fn count() -> Result<u64, Box<dyn std::error::Error>> {
    Ok(5)
}

fn main() {}
