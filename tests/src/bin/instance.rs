//! An instance of a program, for tests that need another process: `instance drain [URL]` or `instance work [URL]`.

use gae_tasks::Client;

// All that this program says of its tasks.
gae_tasks::link!(gae_tasks_tests_linked);

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), gae_tasks::Error> {
    let mut arguments = std::env::args().skip(1);
    let (verb, url) = (arguments.next().unwrap_or_default(), arguments.next().unwrap_or_default());
    let tasks = if url.is_empty() { Client::from_env().await? } else { Client::open(&url).await? };
    if verb == "work" {
        let signals = gae_tasks::signals();
        let shutdown = async {
            signals.await;
            println!("shutting down");
        };
        tasks.worker().with_graceful_shutdown(shutdown).await
    } else {
        println!("{}", tasks.drain().await?);
        Ok(())
    }
}
