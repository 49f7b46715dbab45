//! The outcome of a handler's error, by the error's type and wrapping.

use std::error::Error;
use std::time::Duration;

use gae_tasks::{
    Client, Defer, Outcome, PermanentTaskFailure, SingularTaskFailure, TaskFailure, deferred,
};

#[derive(Debug, thiserror::Error)]
enum OrderError {
    #[error("the order is broken")]
    Source(#[source] PermanentTaskFailure),
    #[error(transparent)]
    Permanent(#[from] PermanentTaskFailure),
    #[error(transparent)]
    Singular(#[from] SingularTaskFailure),
    #[error(transparent)]
    Nested(Box<OrderError>),
    #[error("the shop is closed")]
    Closed,
}

fn permanent() -> PermanentTaskFailure {
    PermanentTaskFailure::new("no such user")
}

#[deferred]
async fn direct() -> Result<(), PermanentTaskFailure> {
    Err(permanent())
}

#[deferred]
fn direct_of_plain_fn() -> Result<(), PermanentTaskFailure> {
    Err(permanent())
}

#[deferred]
async fn singular() -> Result<u64, SingularTaskFailure> {
    Err(SingularTaskFailure::new("not there yet"))
}

#[deferred]
async fn later() -> Result<(), TaskFailure> {
    Err(TaskFailure::retry_after(Duration::from_secs(90)))
}

#[deferred]
async fn order(case: u8) -> Result<(), OrderError> {
    Err(match case {
        0 => OrderError::Source(permanent()),
        1 => OrderError::from(permanent()),
        2 => OrderError::from(SingularTaskFailure::new("not there yet")),
        3 => OrderError::Nested(Box::new(OrderError::from(permanent()))),
        _ => OrderError::Closed,
    })
}

#[deferred]
async fn anyhow_error(case: u8) -> anyhow::Result<()> {
    use anyhow::Context;
    match case {
        0 => Err(permanent().into()),
        1 => Err(permanent()).context("while billing").context("at night"),
        2 => Err(anyhow::anyhow!("404").context(permanent())),
        3 => Err(anyhow::anyhow!("404").context(permanent()).context("while billing")),
        4 => Err(OrderError::from(permanent()).into()),
        5 => Err(anyhow::anyhow!("404").context(TaskFailure::retry_after(Duration::from_secs(90)))),
        6 => Err(anyhow::anyhow!("404").context(SingularTaskFailure::new("not there yet"))),
        _ => anyhow::bail!("a plain one"),
    }
}

#[deferred]
fn boxed(case: u8) -> Result<(), Box<dyn Error + Send + Sync>> {
    match case {
        0 => Err(permanent().into()),
        1 => Err(OrderError::Source(permanent()).into()),
        _ => Err("a plain one".into()),
    }
}

#[deferred]
async fn text() -> Result<(), String> {
    Err("a plain one".to_owned())
}

#[deferred]
async fn fine() {}

#[deferred]
async fn panics() {
    panic!("out of luck");
}

async fn outcome(task: Defer) -> Outcome {
    Client::open("memory:").await.unwrap().perform(task).await.unwrap()
}

async fn is_permanent(task: Defer) -> bool {
    matches!(outcome(task).await, Outcome::Permanent(_))
}

async fn is_plain_retry(task: Defer) -> bool {
    match outcome(task).await {
        Outcome::Retry(failure) => !failure.is_quiet() && failure.retry_after().is_none(),
        _ => false,
    }
}

#[tokio::test]
async fn failures_decide_on_their_own() {
    assert!(matches!(outcome(fine::defer()).await, Outcome::Done));
    assert!(is_permanent(direct::defer()).await);
    assert!(is_permanent(direct_of_plain_fn::defer()).await);
    assert!(outcome(singular::defer()).await.failure().unwrap().is_quiet());
    let later = outcome(later::defer()).await;
    assert_eq!(later.failure().unwrap().retry_after(), Some(Duration::from_secs(90)));
}

#[tokio::test]
async fn thiserror_keeps_the_intent() {
    assert!(is_permanent(order::defer(0)).await, "as a source");
    assert!(is_permanent(order::defer(1)).await, "transparent");
    assert!(outcome(order::defer(2)).await.failure().unwrap().is_quiet(), "transparent");
    assert!(is_permanent(order::defer(3)).await, "transparent twice");
    assert!(is_plain_retry(order::defer(4)).await);
}

#[tokio::test]
async fn anyhow_keeps_the_intent() {
    for case in 0..=4 {
        assert!(is_permanent(anyhow_error::defer(case)).await, "case {case}");
    }
    let later = outcome(anyhow_error::defer(5)).await;
    assert_eq!(later.failure().unwrap().retry_after(), Some(Duration::from_secs(90)));
    assert!(outcome(anyhow_error::defer(6)).await.failure().unwrap().is_quiet());
    assert!(is_plain_retry(anyhow_error::defer(7)).await);
}

#[tokio::test]
async fn boxes_keep_the_intent() {
    assert!(is_permanent(boxed::defer(0)).await);
    assert!(is_permanent(boxed::defer(1)).await);
    assert!(is_plain_retry(boxed::defer(2)).await);
}

#[tokio::test]
async fn other_failures_are_tried_again() {
    assert!(is_plain_retry(text::defer()).await);
    assert!(is_plain_retry(panics::defer()).await);
    assert_eq!(outcome(text::defer()).await.failure().unwrap().to_string(), "a plain one");
}
