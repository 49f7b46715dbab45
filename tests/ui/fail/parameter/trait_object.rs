use gae_tasks::deferred;

#[deferred]
async fn store(value: &dyn std::fmt::Debug) {
    println!("{value:?}");
}

fn main() {}
