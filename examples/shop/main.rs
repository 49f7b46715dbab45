//! A shop whose payments fail: retries, a dead letter, and its replay over an admin route.
//!
//! ```text
//! cargo run --example shop -- [--port 3001] [--url sqlite:FILE]
//! ```
//!
//! The payment gateway does not answer the first two calls for an order, and declines Bob's card:
//!
//! ```text
//! shop=http://localhost:3001
//! curl $shop/orders --json '{"order": 1, "customer": "ada", "cents": 1250}'
//! curl $shop/orders --json '{"order": 2, "customer": "bob", "cents": 990}'
//! # After three seconds: the order of Bob: what was deferred, and its errors.
//! curl $shop/admin/dead-letters
//! curl -X PUT $shop/customers/bob --json '{"card": "4242"}'
//! curl -X POST $shop/admin/dead-letters/ID/replay
//! ```
//!
//! Ctrl-C ends the server and the worker. Orders that are not charged yet wait for the next start.

mod gateway;
mod orders;
mod routes;

use std::net::Ipv4Addr;
use std::sync::Arc;

use anyhow::{Context, Result};
use clap::Parser;
use gae_tasks::Client;
use tokio::net::TcpListener;

use crate::gateway::{Gateway, Sandbox};
use crate::orders::Customers;

/// Takes orders over HTTP and charges them by tasks that are retried.
#[derive(Debug, Parser)]
struct Arguments {
    /// The port to listen on; 0 takes any that is free.
    #[arg(long, default_value_t = 3001)]
    port: u16,
    /// The queue; a file in the temporary folder by default.
    #[arg(long, default_value_t = default_url())]
    url: String,
}

fn default_url() -> String {
    format!("sqlite:{}", std::env::temp_dir().join("gae-tasks-shop.db").display())
}

#[tokio::main]
async fn main() -> Result<()> {
    tracing_subscriber::fmt().with_env_filter("info").with_writer(std::io::stderr).init();
    let arguments = Arguments::parse();
    let customers = Customers::default();
    // The type is named: state is found by it, and handlers ask for `Arc<dyn Gateway>`.
    let tasks = Client::builder()
        .state::<Arc<dyn Gateway>>(Arc::new(Sandbox::default()))
        .state(customers.clone())
        .open(&arguments.url)
        .await?;

    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, arguments.port)).await;
    let listener = listener.with_context(|| format!("cannot listen on port {}", arguments.port))?;
    println!("http://{}", listener.local_addr()?);

    // Each has a signal of its own, so both drain at the same time.
    let router = routes::router(tasks.clone(), customers);
    let server = axum::serve(listener, router).with_graceful_shutdown(gae_tasks::signals());
    let worker = tasks.worker().with_graceful_shutdown(gae_tasks::signals());
    let server = async { server.await.context("the server") };
    let worker = async { worker.await.context("the worker") };
    tokio::try_join!(server, worker)?;
    println!("{} tasks wait for the next start", tasks.stats().await?.open());
    Ok(())
}
