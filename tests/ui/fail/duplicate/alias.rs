use gae_tasks::deferred;

#[deferred(alias = ["shop/send", "shop/send"])]
async fn send_welcome() {}

fn main() {}
