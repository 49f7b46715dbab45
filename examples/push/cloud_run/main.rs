//! A service on Cloud Run: Cloud Tasks sends its tasks back to it, and each request proves itself by a token of Google's.
//!
//! ```text
//! cargo run -p gae-tasks-examples-push --example cloud_run -- --local
//! ```
//!
//! With `--local` a small Cloud Tasks server runs in the same process, so that no account is needed. What a deployment
//! needs is in the `README.md` beside this file.

mod local;
mod service;

use std::net::Ipv4Addr;

use anyhow::{Context, Result};
use clap::Parser;
use gae_tasks::Client;
use gae_tasks::push::verify::Oidc;
use tokio::net::TcpListener;

use crate::service::Greeted;

/// Defers greetings, which Cloud Tasks sends back to it.
#[derive(Debug, Parser)]
struct Arguments {
    /// With a queue in this process, in place of Google's.
    #[arg(long)]
    local: bool,
    /// The port to listen on, `$PORT` by default; 0 takes any that is free.
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
            .context("there is no queue: try `--local`, which needs none of Google's")?;
        service::router(tasks, google()?, greeted)?
    };
    println!("http://{address}");
    axum::serve(listener, router).with_graceful_shutdown(gae_tasks::signals()).await?;
    Ok(())
}

/// Whose tokens are believed: those of the service account that the queue URL names, made for this service.
fn google() -> Result<Oidc> {
    let variable = |name| std::env::var(name).with_context(|| format!("set {name}: see README.md"));
    let (audience, account) = (variable("TASKS_AUDIENCE")?, variable("TASKS_SERVICE_ACCOUNT")?);
    Ok(Oidc::google().audience(audience).service_account(account).build()?)
}
