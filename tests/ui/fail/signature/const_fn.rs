use gae_tasks::deferred;

#[deferred]
const fn store() {}

fn main() {}
