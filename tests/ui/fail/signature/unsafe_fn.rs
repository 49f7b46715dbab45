use gae_tasks::deferred;

#[deferred]
async unsafe fn store() {}

fn main() {}
