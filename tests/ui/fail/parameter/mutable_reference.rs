use gae_tasks::deferred;

#[deferred]
async fn store(value: &mut u64) {
    *value += 1;
}

fn main() {}
