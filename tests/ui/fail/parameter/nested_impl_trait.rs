use gae_tasks::deferred;

#[deferred]
async fn store(value: Vec<impl std::fmt::Debug>) {
    println!("{value:?}");
}

fn main() {}
