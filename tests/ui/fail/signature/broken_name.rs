use gae_tasks::deferred;

#[deferred]
async unsafe fn 5(user: u64) {}

fn main() {}
