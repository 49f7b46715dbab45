//! Tasks that leave a file behind.

use gae_tasks::deferred;

/// Writes the text to the file.
#[deferred(queue = "linked")]
pub(super) fn write_report(file: String, text: String) -> std::io::Result<()> {
    std::fs::write(file, text)
}

/// Shows that it has begun, and in which process, and goes on until it is stopped.
#[deferred(queue = "linked")]
pub(super) async fn write_and_hang(file: String) -> std::io::Result<()> {
    std::fs::write(&file, std::process::id().to_string())?;
    println!("begun");
    std::future::pending().await
}

/// Shows that it has begun and blocks the runtime, as no async function should.
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
    Err("as the test wants it")
}
