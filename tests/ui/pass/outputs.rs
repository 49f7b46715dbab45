use std::convert::Infallible;
use std::error::Error;

use gae_tasks::{Client, PermanentTaskFailure, deferred};

type Answer = Result<(), PermanentTaskFailure>;

#[deferred]
async fn nothing() -> () {}

#[deferred]
async fn any_success() -> Result<std::rc::Rc<u8>, Infallible> {
    Ok(std::rc::Rc::new(5))
}

#[deferred]
async fn alias() -> Answer {
    Ok(())
}

#[deferred]
fn text() -> Result<u8, &'static str> {
    Ok(5)
}

#[deferred]
fn boxed() -> Result<(), Box<dyn Error + Send + Sync + 'static>> {
    Ok(())
}

#[deferred]
async fn anyhow_error() -> anyhow::Result<String> {
    Ok(String::new())
}

#[deferred]
fn never_ok() -> Result<Infallible, std::io::Error> {
    Err(std::io::Error::other("no"))
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let tasks = Client::open("memory:").await.unwrap();
    let good = [nothing::defer(), any_success::defer(), alias::defer(), text::defer(), boxed::defer(), anyhow_error::defer()];
    for task in good {
        assert_eq!(tasks.run(task).await.unwrap(), 1);
    }
    assert!(tasks.run(never_ok::defer()).await.is_err());
}
