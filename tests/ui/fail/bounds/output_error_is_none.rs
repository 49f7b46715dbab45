use gae_tasks::deferred;

struct Failure;

#[deferred]
async fn count() -> Result<u64, Failure> {
    Err(Failure)
}

fn main() {}
