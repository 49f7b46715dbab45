use gae_tasks::deferred;

const QUEUE: &str = "emails";

#[deferred(queue = QUEUE)]
async fn send_welcome() {
    println!("{QUEUE}");
}

fn main() {}
