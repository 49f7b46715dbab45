use gae_tasks::deferred;

#[deferred]
async fn send_welcome(template: String) {
    println!("{template}");
}

fn main() {
    drop(send_welcome::defer("hi".into()));
}
