//! Tasks that write a file.

use gae_tasks::{TaskContext, deferred};

/// Writes the text to the file.
#[deferred(queue = "linked")]
pub(super) fn write_report(file: String, text: String) -> std::io::Result<()> {
    std::fs::write(file, text)
}

/// Writes the id of its process to the file, and runs until it is stopped.
#[deferred(queue = "linked")]
pub(super) async fn write_and_hang(file: String) -> std::io::Result<()> {
    std::fs::write(&file, std::process::id().to_string())?;
    println!("begun");
    std::future::pending().await
}

/// Writes to the file that it has begun, and then that it was cancelled.
#[deferred(queue = "linked")]
pub(super) async fn write_and_heed(
    file: String,
    #[context] cx: &TaskContext,
) -> std::io::Result<()> {
    std::fs::write(&file, "begun")?;
    cx.cancelled().await;
    std::fs::write(&file, "cancelled")
}

/// Writes to the file and blocks the runtime, as no async function should.
#[deferred(queue = "linked")]
pub(super) async fn block_the_runtime() {
    println!("begun");
    loop {
        std::thread::park();
    }
}

/// Fails.
#[deferred(queue = "linked", max_attempts = 2)]
pub(super) async fn fail() -> Result<(), &'static str> {
    Err("a failure planned by the test")
}
