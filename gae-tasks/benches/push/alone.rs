//! The service and the bare handler called without a server, so that no socket hides the cost of a
//! call.

use std::fmt::Debug;
use std::time::{Duration, Instant};

use axum::body::Body;
use axum::extract::Request;
use gae_tasks::Client;
use tower_service::Service;

use crate::servers;

const CALLS: u32 = 300_000;

/// Prints the time of one call of each, including the construction of the request.
pub(crate) fn report() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let client = Client::open("memory:").await.unwrap();
        let request = servers::push_request(&client);
        for _ in 0..3 {
            let ours = timed(servers::service(&client), &request).await;
            let bare = timed(axum::routing::post(servers::bare), &request).await;
            println!("without a server: push {ours:?}, bare handler {bare:?}");
        }
    });
}

async fn timed<S>(mut service: S, request: &http::Request<axum::body::Bytes>) -> Duration
where
    S: Service<Request, Error: Debug>,
{
    let begun = Instant::now();
    for _ in 0..CALLS {
        let called = service.call(request.clone().map(Body::from)).await;
        drop(std::hint::black_box(called.unwrap()));
    }
    begun.elapsed() / CALLS
}
