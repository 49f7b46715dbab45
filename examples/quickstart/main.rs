//! Digests every file of a folder as deferred tasks, by a worker process that is killed half-way.
//!
//! ```text
//! cargo run --release --example quickstart -- [DIR]
//! ```
//!
//! Kill the worker or both processes yourself, too (`pkill -9 quickstart`). Start the quickstart
//! again, and it continues where it stopped.

mod files;
mod folder;
mod results;
mod tasks;
mod watch;
mod worker;

use std::ffi::OsString;
use std::path::PathBuf;

use anyhow::Result;
use clap::Parser;

use crate::folder::Run;

/// Digests every file of a folder as deferred tasks, by a worker process that is killed half-way.
#[derive(Debug, Parser)]
struct Arguments {
    /// The folder; by default the repository that the quickstart was built from.
    #[arg(conflicts_with = "worker")]
    dir: Option<PathBuf>,
    /// Starts the quickstart's own worker, in a process that the quickstart can kill.
    #[arg(long, hide = true, value_name = "RUN")]
    worker: Option<OsString>,
}

#[tokio::main]
async fn main() -> Result<()> {
    tracing_subscriber::fmt().with_env_filter("warn").with_writer(std::io::stderr).init();
    let arguments = Arguments::parse();
    match arguments.worker {
        Some(run) => worker::work(&Run::at(run)).await,
        None => watch::run(arguments.dir.unwrap_or_else(repository)).await,
    }
}

/// The repository that contains this example.
fn repository() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}
