//! Settings of zero that would stop all work are refused, with their names, where they are used.

use std::time::Duration;

use gae_tasks::{Client, Error, QueueConfig, RetryConfig, deferred};

#[deferred(queue = "emails")]
async fn send() {}

async fn client() -> Client {
    let builder = Client::builder().registry(crate::tasks_of(module_path!()));
    builder.open("memory:").await.unwrap()
}

fn never() -> RetryConfig {
    RetryConfig::new().with_max_attempts(Some(0))
}

#[tokio::test]
async fn a_queue_is_not_configured_so_that_nothing_is_attempted() {
    let tasks = client().await;
    let backwards = RetryConfig::new()
        .with_min_backoff(Duration::from_secs(5_400))
        .with_max_backoff(Duration::from_secs(60));
    for (config, name) in [
        (QueueConfig::new().with_retry(never()), "`max_attempts` of 0"),
        (
            QueueConfig::new().with_retry(backwards),
            "`min_backoff` of 1 h 30 min, above its `max_backoff` of 1 min",
        ),
        (QueueConfig::new().with_max_lost_attempts(0), "`max_lost_attempts` of 0"),
    ] {
        let error = tasks.put_queue("emails", config).await.unwrap_err();
        assert!(
            matches!(&error, Error::QueueConfig { queue, .. } if queue == "emails"),
            "{error:?}"
        );
        assert!(error.to_string().contains(name), "{error}");
    }
    assert!(tasks.queues().await.unwrap().is_empty(), "nothing is stored");
}

#[tokio::test]
async fn a_call_without_an_attempt_is_not_deferred() {
    let tasks = client().await;
    for (call, option) in [
        (send::defer().max_attempts(0), ".max_attempts(0)"),
        (send::defer().retry(never()), ".retry(..)"),
    ] {
        let error = call.on(&tasks).await.unwrap_err();
        assert!(
            matches!(&error, Error::InvalidOption { option: named, .. } if *named == option),
            "{error:?}"
        );
        assert!(error.to_string().contains("so use 1 or more"), "{error}");
    }
    assert_eq!(tasks.stats().await.unwrap().open(), 0);
}

#[tokio::test]
async fn a_worker_without_an_attempt_at_the_same_time_does_not_start() {
    let tasks = client().await;
    let no_worker = async |worker: gae_tasks::Worker| match worker.await {
        Err(Error::Misconfigured { problems, .. }) => problems.join("\n"),
        other => panic!("{other:?}"),
    };
    let problem = no_worker(tasks.worker().concurrency(0)).await;
    assert!(problem.contains("`.concurrency(0)`"), "{problem}");
    let problem = no_worker(tasks.worker().queue_concurrency("emails", 0)).await;
    assert!(problem.contains("`.queue_concurrency(\"emails\", 0)`"), "{problem}");
    let both = no_worker(tasks.worker().concurrency(0).queue_concurrency("emails", 0)).await;
    assert_eq!(both.lines().count(), 2, "{both}");
}

#[tokio::test]
async fn a_message_says_durations_in_words() {
    let tasks = client().await;
    let year = Duration::from_secs(365 * 24 * 60 * 60);
    let far = send::defer().after(20 * year).on(&tasks).await.unwrap_err().to_string();
    assert!(
        far.contains("scheduled 20 years ahead, but the `memory` backend accepts at most 10 years"),
        "{far}"
    );
    let long = send::defer().deadline(2 * year).on(&tasks).await.unwrap_err().to_string();
    assert!(
        long.contains("is 2 years, but the `memory` backend accepts only 1 ms to 1 day"),
        "{long}"
    );
}
