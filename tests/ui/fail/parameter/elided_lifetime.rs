use gae_tasks::deferred;

#[deferred]
async fn store(value: std::borrow::Cow<'_, str>) {
    println!("{value}");
}

fn main() {}
