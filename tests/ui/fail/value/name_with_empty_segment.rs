use gae_tasks::deferred;

#[deferred(name = "shop//send")]
async fn send_welcome() {}

fn main() {}
