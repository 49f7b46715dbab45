//! A service on Cloud Run: Cloud Tasks sends the service's tasks back to it, each request with a
//! token signed by Google.
//!
//! ```text
//! cargo run -p gae-tasks-examples-push --example cloud_run -- --local
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
use gae_tasks::push::verify::Oidc;
use tokio::net::TcpListener;

use crate::service::Greeted;

/// Defers greetings, which Cloud Tasks sends back to this service.
#[derive(Debug, Parser)]
struct Arguments {
    /// Uses a queue in this process, in place of Google's.
    #[arg(long)]
    local: bool,
    /// The port to listen on, `$PORT` by default; 0 takes any free port.
    #[arg(long, default_value_t = port())]
    port: u16,
}

fn port() -> u16 {
    std::env::var("PORT").ok().and_then(|port| port.parse().ok()).unwrap_or(8080)
}

#[tokio::main]
async fn main() -> Result<()> {
    tracing_subscriber::fmt().with_env_filter("info").with_writer(std::io::stderr).init();
    let arguments = Arguments::parse();
    let host = if arguments.local { Ipv4Addr::LOCALHOST } else { Ipv4Addr::UNSPECIFIED };
    let listener = TcpListener::bind((host, arguments.port)).await;
    let listener = listener.with_context(|| format!("cannot listen on port {}", arguments.port))?;
    let address = listener.local_addr()?;

    let greeted = Greeted::default();
    let builder = Client::builder().state(greeted.clone());
    let router = if arguments.local {
        let queue = local::Queue::start().await;
        let tasks = queue.client(builder, &format!("http://{address}")).await?;
        let router = service::router(tasks, queue.verifier()?, greeted)?;
        tokio::spawn(queue.run());
        router
    } else {
        // `cloudtasks://PROJECT/LOCATION?url=..&service_account=..&dead_letters=queues`
        let tasks = builder
            .from_env()
            .await
            .context("there is no queue: try `--local`, which needs no account")?;
        service::router(tasks, google()?, greeted)?
    };
    println!("http://{address}");
    axum::serve(listener, router).with_graceful_shutdown(gae_tasks::signals()).await?;
    Ok(())
}

/// Returns a verifier of tokens that Google issued for this service to the service account in the
/// queue URL.
fn google() -> Result<Oidc> {
    let variable = |name| std::env::var(name).with_context(|| format!("set {name}: see README.md"));
    let (audience, account) = (variable("TASKS_AUDIENCE")?, variable("TASKS_SERVICE_ACCOUNT")?);
    Ok(Oidc::google().audience(audience).service_account(account).build()?)
}
