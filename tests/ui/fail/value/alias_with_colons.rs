use gae_tasks::deferred;

#[deferred(alias = "shop::emails::send_welcome")]
async fn send_welcome() {}

fn main() {}
