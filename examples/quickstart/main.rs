//! Digests every file of a folder as deferred tasks, by a worker process that is killed half-way.
//!
//! ```text
//! cargo run --release --example quickstart -- [DIR]
//! ```
//!
//! Kill it yourself as well, the worker or both (`pkill -9 quickstart`): start it again, and it goes on where it was.

mod files;
mod folder;
mod results;
mod tasks;
mod watch;
mod worker;

use std::path::PathBuf;

use anyhow::{Context, Result};

use crate::folder::Run;

#[tokio::main]
async fn main() -> Result<()> {
    tracing_subscriber::fmt().with_env_filter("warn").with_writer(std::io::stderr).init();
    let mut arguments = std::env::args_os().skip(1);
    match arguments.next() {
        // How the quickstart starts its own worker, in a process that it can kill.
        Some(flag) if flag == "--worker" => worker::work(&Run::at(arguments.next().context("--worker RUN")?)).await,
        Some(flag) if flag == "--help" || flag == "-h" => {
            println!("usage: quickstart [DIR]   (default: the repository the quickstart was built from)");
            Ok(())
        }
        dir => watch::run(dir.map_or_else(repository, PathBuf::from)).await,
    }
}

/// The repository this example stands in.
fn repository() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}
