//! The routes of both services: a page that defers tasks, and the push service, under one
//! middleware.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Result;
use axum::Router;
use axum::extract::{Path, Request, State};
use axum::http::StatusCode;
use axum::middleware::{Next, from_fn};
use axum::response::Response;
use axum::routing::{get, post};
use gae_tasks::push::is_from_task_queue;
use gae_tasks::push::verify::AppEngine;
use gae_tasks::{Client, TaskContext, deferred, log_as_retried};

/// The number of times that this instance counted each word.
#[derive(Debug, Clone, Default)]
pub(crate) struct Counts(Arc<Mutex<BTreeMap<String, u32>>>);

impl Counts {
    fn add(&self, word: String) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner).entry(word).or_default() += 1;
    }

    fn text(&self) -> String {
        let counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        counts.iter().map(|(word, count)| format!("{word}: {count}\n")).collect()
    }
}

/// Counts a word. The first attempt for the word `flaky` fails, to show a retry.
#[deferred(queue = "counting", name = "app_engine/count", deadline = "30s")]
async fn count(word: String, #[state] counts: &Counts, #[context] cx: &TaskContext) -> Result<()> {
    if word == "flaky" && cx.retry_count() == 0 {
        log_as_retried!("not this time");
        anyhow::bail!("not this time");
    }
    counts.add(word);
    Ok(())
}

/// Returns the routes. The middleware sees the requests of users and of the queue alike.
pub(crate) fn router(tasks: Client, platform: AppEngine, counts: Counts) -> Result<Router> {
    let push = tasks.push_service().verify(platform).log_dead_letters().nested().build()?;
    let router = Router::new()
        .route("/", get(home))
        .route("/count/{word}", post(defer))
        .with_state((tasks, counts))
        .nest_service("/_cb/deferred", push);
    Ok(router.layer(from_fn(log)))
}

/// The application's own middleware.
async fn log(request: Request, next: Next) -> Response {
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    for (name, value) in
        request.headers().iter().filter(|(name, _)| name.as_str().starts_with("x-appengine-"))
    {
        tracing::debug!("{name}: {}", value.to_str().unwrap_or("not text"));
    }
    let response = next.run(request).await;
    let by = if is_from_task_queue(response.extensions()) { " from the task queue" } else { "" };
    tracing::info!("{method} {path}{by}: {}", response.status());
    response
}

async fn home(State((_, counts)): State<(Client, Counts)>) -> String {
    counts.text()
}

async fn defer(
    State((tasks, _)): State<(Client, Counts)>,
    Path(word): Path<String>,
) -> Result<String, (StatusCode, String)> {
    match count::defer(word).on(&tasks).await {
        Ok(deferred) => Ok(format!("deferred: {}\n", deferred.id)),
        Err(error) => {
            tracing::error!(%error, "cannot defer");
            Err((StatusCode::SERVICE_UNAVAILABLE, "try again later\n".to_owned()))
        }
    }
}
