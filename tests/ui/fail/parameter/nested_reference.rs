use gae_tasks::deferred;

#[deferred]
async fn store(value: Option<&str>) {
    println!("{value:?}");
}

fn main() {}
