use gae_tasks::deferred;

#[deferred]
fn count() -> Option<u64> {
    None
}

fn main() {}
