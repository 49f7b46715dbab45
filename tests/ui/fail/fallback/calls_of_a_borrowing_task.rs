use gae_tasks::{Client, Error, deferred};

#[deferred]
async fn send_welcome(user_id: u64, template: &str) {
    println!("{user_id} {template}");
}

async fn caller(tasks: &Client) -> Result<(), Error> {
    send_welcome(7, "now").await;
    send_welcome::defer(42, "hello").await?;
    send_welcome::defer(43, String::from("later")).named("x").on(tasks).await?;
    SendWelcomeArgs { user_id: 44, template: "data" }.defer().await?;
    Ok(())
}

fn main() {
    drop(caller);
}
