//! Two services on App Engine, both from this program: `default` answers users, `worker` runs the
//! deferred tasks.
//!
//! ```text
//! cargo run -p gae-tasks-examples-push --example app_engine -- --local
//! ```
//!
//! With `--local` a small Cloud Tasks server runs in the same process, so that no account is
//! needed. The `README.md` beside this file describes a deployment.

mod local;
mod service;

use std::net::Ipv4Addr;

use anyhow::{Context, Result};
use clap::Parser;
use gae_tasks::Client;
use gae_tasks::push::verify::AppEngine;
use tokio::net::TcpListener;

use crate::service::Counts;

/// Counts words in the background, in tasks sent by App Engine.
#[derive(Debug, Parser)]
struct Arguments {
    /// Uses a queue in this process, in place of Google's.
    #[arg(long)]
    local: bool,
    /// Trusts App Engine's headers: for Google's development server, which only this machine can
    /// reach.
    #[arg(long)]
    development: bool,
    /// The port to listen on, `$PORT` by default; 0 takes any free port.
    #[arg(long, default_value_t = port())]
    port: u16,
}

fn port() -> u16 {
    std::env::var("PORT").ok().and_then(|port| port.parse().ok()).unwrap_or(8080)
}

#[tokio::main]
async fn main() -> Result<()> {
    let arguments = Arguments::parse();
    // `--development` also logs the platform's headers.
    let filter = if arguments.development { "info,app_engine=debug" } else { "info" };
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
    let is_development = arguments.local || arguments.development;
    let host = if is_development { Ipv4Addr::LOCALHOST } else { Ipv4Addr::UNSPECIFIED };
    let listener = TcpListener::bind((host, arguments.port)).await;
    let listener = listener.with_context(|| format!("cannot listen on port {}", arguments.port))?;
    let address = listener.local_addr()?;

    let counts = Counts::default();
    let builder = Client::builder().state(counts.clone());
    let (tasks, _queue) = if arguments.local {
        let (tasks, queue) = local::client(builder, &format!("http://{address}")).await?;
        (tasks, Some(queue))
    } else {
        // `cloudtasks://PROJECT/LOCATION?background_service=worker`, from app.yaml.
        (
            builder
                .from_env()
                .await
                .context("there is no queue: try `--local`, which needs no account")?,
            None,
        )
    };
    let platform = if is_development {
        AppEngine::assume_headers_are_stripped()
    } else {
        AppEngine::detect()?
    };
    let router = service::router(tasks, platform, counts)?;
    println!("http://{address}");
    axum::serve(listener, router).with_graceful_shutdown(gae_tasks::signals()).await?;
    Ok(())
}
