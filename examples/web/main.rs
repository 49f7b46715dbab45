//! A web server that defers its mails, with its worker in the same process.
//!
//! ```text
//! cargo run --example web -- [--port 3000] [--url sqlite:FILE]
//! ```
//!
//! Open <http://localhost:3000>, sign up, and watch the mail wait and go out. Ctrl-C ends both: the
//! server answers what it has accepted, the worker finishes what it has begun, and what still waits
//! goes out after the next start.

mod outbox;
mod page;
mod server;

use std::net::Ipv4Addr;

use anyhow::{Context, Result};
use clap::Parser;
use gae_tasks::Client;
use tokio::net::TcpListener;

use crate::outbox::Outbox;

/// Defers a welcome mail for everyone who signs up.
#[derive(Debug, Parser)]
struct Arguments {
    /// The port to listen on; 0 takes any that is free.
    #[arg(long, default_value_t = 3000)]
    port: u16,
    /// The queue; a file in the temporary folder by default.
    #[arg(long, default_value_t = default_url())]
    url: String,
}

fn default_url() -> String {
    format!("sqlite:{}", std::env::temp_dir().join("gae-tasks-web.db").display())
}

#[tokio::main]
async fn main() -> Result<()> {
    tracing_subscriber::fmt().with_env_filter("info").with_writer(std::io::stderr).init();
    let arguments = Arguments::parse();
    let outbox = Outbox::default();
    let tasks = Client::builder().state(outbox.clone()).open(&arguments.url).await?;
    tasks.install()?;

    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, arguments.port)).await;
    let listener = listener.with_context(|| format!("cannot listen on port {}", arguments.port))?;
    println!("http://{}", listener.local_addr()?);

    // Server and worker listen for the signal separately, so both drain at the same time.
    let router = server::router(tasks.clone(), outbox);
    let server = axum::serve(listener, router).with_graceful_shutdown(gae_tasks::signals());
    let worker = tasks.worker().with_graceful_shutdown(gae_tasks::signals());
    let server = async { server.await.context("the server") };
    let worker = async { worker.await.context("the worker") };
    tokio::try_join!(server, worker)?;
    println!("{} tasks wait for the next start", tasks.stats().await?.open());
    Ok(())
}
