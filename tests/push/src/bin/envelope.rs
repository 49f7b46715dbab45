//! Writes the body of a task of the example `app_engine` to the standard output: `envelope WORD`, for `app_engine.sh`.

use std::io::Write;

use gae_tasks::{Client, deferred};

/// What the example has under this kind: its parameters that are sent.
#[deferred(queue = "counting", name = "app_engine/count", deadline = "30s")]
async fn count(_word: String) {}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let word = std::env::args().nth(1).ok_or("name a word")?;
    let tasks = Client::open("memory:").await?;
    let request = tasks.push_request(count::defer(word), 1)?;
    std::io::stdout().write_all(request.body())?;
    Ok(())
}
