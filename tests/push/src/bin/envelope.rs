//! Writes the body of a task of the example `app_engine` to standard output, for `app_engine.sh`:
//! `envelope WORD`.

use std::io::Write;

use gae_tasks::{Client, deferred};

/// The example's task of this kind, with the parameters that are sent.
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
