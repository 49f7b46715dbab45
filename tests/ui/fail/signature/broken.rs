use gae_tasks::deferred;

#[deferred]
async fn no_type(user) {}

#[deferred]
pub fn no_closing_arrow(user: u64) -> {}

fn main() {}
