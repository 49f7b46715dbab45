use gae_tasks::deferred;

struct Pool;

#[deferred]
async fn count(#[state] pool: Pool) {
    drop(pool);
}

fn main() {}
