use gae_tasks::deferred;

#[deferred]
extern "C" fn store() {}

fn main() {}
