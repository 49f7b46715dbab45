use gae_tasks::deferred;

#[derive(Debug, thiserror::Error)]
#[error("{0:?}")]
struct Failure(std::cell::Cell<u8>);

#[deferred]
fn count() -> Result<u64, Failure> {
    Ok(1)
}

fn main() {}
