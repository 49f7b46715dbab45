//! The routes of the service: a page that defers tasks, and the push service, under one middleware.

use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Result;
use axum::Router;
use axum::extract::{Query, Request, State};
use axum::http::StatusCode;
use axum::middleware::{Next, from_fn};
use axum::response::Response;
use axum::routing::{get, post};
use gae_tasks::push::is_from_task_queue;
use gae_tasks::push::verify::Verify;
use gae_tasks::{Client, TaskContext, deferred};
use serde::Deserialize;

/// The names that this instance has greeted.
#[derive(Debug, Clone, Default)]
pub(crate) struct Greeted(Arc<Mutex<Vec<String>>>);

impl Greeted {
    fn names(&self) -> Vec<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn add(&self, name: String) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(name);
    }
}

/// Greets a person. The first attempt fails for a name that begins with a small letter, to show a
/// retry.
#[deferred(queue = "greetings", name = "cloud_run/greet", max_attempts = 5)]
async fn greet(
    name: String,
    #[state] greeted: &Greeted,
    #[context] cx: &TaskContext,
) -> Result<()> {
    let is_small = name.starts_with(|letter: char| letter.is_lowercase());
    anyhow::ensure!(!is_small || cx.retry_count() > 0, "names begin with a capital letter");
    greeted.add(name);
    Ok(())
}

/// Returns the routes. The middleware sees the requests of users and of the queue alike.
pub(crate) fn router(tasks: Client, verifier: impl Verify, greeted: Greeted) -> Result<Router> {
    // An instance's disk is lost with the instance, so Google keeps the dead letters, in the queue
    // `greetings-dead`.
    let push = tasks.push_service().verify(verifier).dead_letters(&tasks).nested().build()?;
    let router = Router::new()
        .route("/", get(home))
        .route("/greet", post(defer))
        .with_state((tasks, greeted))
        .nest_service("/_cb/deferred", push);
    Ok(router.layer(from_fn(log)))
}

/// The application's own middleware.
async fn log(request: Request, next: Next) -> Response {
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let response = next.run(request).await;
    let by = if is_from_task_queue(response.extensions()) { " from the task queue" } else { "" };
    tracing::info!("{method} {path}{by}: {}", response.status());
    response
}

async fn home(State((_, greeted)): State<(Client, Greeted)>) -> String {
    format!("greeted: {}\n", greeted.names().join(", "))
}

#[derive(Debug, Deserialize)]
struct Who {
    name: String,
}

async fn defer(
    State((tasks, _)): State<(Client, Greeted)>,
    Query(who): Query<Who>,
) -> Result<String, (StatusCode, String)> {
    match greet::defer(who.name).on(&tasks).await {
        Ok(deferred) => Ok(format!("deferred: {}\n", deferred.id)),
        Err(error) => {
            tracing::error!(%error, "cannot defer");
            Err((StatusCode::SERVICE_UNAVAILABLE, "try again later\n".to_owned()))
        }
    }
}
