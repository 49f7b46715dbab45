use gae_tasks::{Error, Registry, Task, TaskContext, deferred};

#[deferred(queue = "welcome_emails", args(WelcomeArgs, derive(Clone)))]
pub(crate) async fn send_welcome(user_id: u64, template: String, #[context] cx: &TaskContext) {
    println!("{user_id} {template} {cx:?}");
}

async fn caller() -> Result<(), Error> {
    let id = "42".parse().unwrap_or_default();
    send_welcome::defer(id, "hello").await?;
    WelcomeArgs { user_id: 44, template: "data".into() }.clone().defer().await?;
    Ok(())
}

fn main() {
    drop(caller());
    println!("{} {:?}", send_welcome::KIND, send_welcome::QUEUES);
    println!("{:?}", Registry::new().with::<send_welcome>());
}
