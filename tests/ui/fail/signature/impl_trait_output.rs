use gae_tasks::deferred;

#[deferred]
fn store() -> impl std::fmt::Debug {}

fn main() {}
