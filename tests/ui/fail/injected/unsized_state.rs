use gae_tasks::deferred;

#[deferred]
async fn store(#[state] value: &(dyn std::fmt::Debug + Send + Sync)) {
    println!("{value:?}");
}

fn main() {}
