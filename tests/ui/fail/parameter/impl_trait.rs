use gae_tasks::deferred;

#[deferred]
async fn store(value: impl std::fmt::Debug) {
    println!("{value:?}");
}

fn main() {}
