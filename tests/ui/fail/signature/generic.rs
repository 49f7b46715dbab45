use gae_tasks::deferred;

#[deferred]
async fn store<T>(value: T) {
    drop(value);
}

fn main() {}
