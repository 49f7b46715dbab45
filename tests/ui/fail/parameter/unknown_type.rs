use gae_tasks::deferred;

#[deferred]
async fn store(value: Receipt) {
    drop(value);
}

fn main() {}
