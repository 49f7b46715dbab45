use gae_tasks::deferred;

#[deferred]
async fn count() -> u64 {
    5
}

fn main() {}
