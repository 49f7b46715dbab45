//! The limits of queues at Google, and plans.

use std::time::Duration;

use gae_tasks::{Error, QueueConfig, QueuePlan, QueueRecord, Queues, Registry, RetryConfig};

use super::*;

const SECOND: Duration = Duration::from_secs(1);

/// A client without tasks, so that no task names a queue.
async fn planner(builder: CloudTasksBuilder) -> Client {
    let backend = builder.build().await.unwrap();
    Client::builder().registry(Registry::new()).build_push(backend).unwrap()
}

async fn plan(tasks: &Client, queues: impl Into<Queues>) -> QueuePlan {
    tasks.plan_queues(queues).await.unwrap()
}

async fn record(tasks: &Client, name: &str) -> QueueRecord {
    let queues = tasks.queues().await.unwrap();
    queues.into_iter().find(|queue| queue.name.as_str() == name).expect("the queue is there")
}

/// The rate and the concurrency that the server has stored.
fn limits(server: &Server, queue: &str) -> (f64, i64) {
    let limits = &server.queue(PLACE, queue).expect("the queue is there")["rateLimits"];
    let rate = limits["maxDispatchesPerSecond"].as_f64().unwrap();
    (rate, limits["maxConcurrentDispatches"].as_i64().unwrap())
}

fn retrying() -> RetryConfig {
    RetryConfig::new()
        .with_max_attempts(Some(8))
        .with_max_retry_duration(Some(60 * SECOND))
        .with_min_backoff(2 * SECOND)
        .with_max_backoff(90 * SECOND)
        .with_max_doublings(u32::MAX)
}

#[tokio::test]
async fn only_the_limits_that_are_set_are_written() {
    let server = Server::start().await;
    let tasks = client(&server).await;
    let rate = QueueConfig::new().with_max_dispatches_per_second(0.5);
    tasks.put_queue("emails", rate).await.unwrap();
    assert_eq!(limits(&server, "emails"), (0.5, 1_000));
    tasks.put_queue("emails", QueueConfig::new().with_max_concurrent_dispatches(7)).await.unwrap();
    assert_eq!(limits(&server, "emails"), (0.5, 7), "the rate is not in the mask");
    tasks.put_queue("emails", QueueConfig::new().with_retry(retrying())).await.unwrap();
    assert_eq!(limits(&server, "emails"), (0.5, 7), "no limit is in the mask");
    let read = record(&tasks, "emails").await.config.unwrap();
    assert_eq!(
        (read.max_dispatches_per_second(), read.max_concurrent_dispatches()),
        (Some(0.5), Some(7))
    );
    assert_eq!(read.max_burst_size(), None, "what was read can be written");
    tasks.put_queue("emails", read).await.unwrap();
}

#[tokio::test]
async fn limits_that_google_does_not_have_are_refused_by_name() {
    let server = Server::start().await;
    let tasks = planner(builder(&server)).await;
    let refused = [
        ("max_burst_size", QueueConfig::new().with_max_burst_size(5)),
        (
            "`max_dispatches_per_second` of 500.5, but the `cloudtasks` backend",
            QueueConfig::new().with_max_dispatches_per_second(500.5),
        ),
        (
            "`max_concurrent_dispatches` of 5001, but the `cloudtasks` backend",
            QueueConfig::new().with_max_concurrent_dispatches(5_001),
        ),
    ];
    for (name, config) in &refused {
        let error = tasks.put_queue("emails", config.clone()).await.unwrap_err();
        assert!(matches!(&error, Error::QueueConfig { queue, .. } if queue == "emails"), "{error}");
        assert!(error.to_string().contains(name), "{error}");
    }
    let queues = [("a", &refused[0]), ("b", &refused[1]), ("c", &refused[2])];
    let queues: Queues = queues.into_iter().map(|(name, (_, of))| (name, of.clone())).collect();
    let queues = queues.with("d", QueueConfig::new().with_max_lost_attempts(3));
    let Err(Error::Misconfigured { problems, .. }) = tasks.plan_queues(queues).await else {
        panic!("the queues are refused");
    };
    assert_eq!(problems.len(), 4, "all at once: {problems:#?}");
    let highest = QueueConfig::new().with_max_dispatches_per_second(500.0);
    tasks.put_queue("e", highest.with_max_concurrent_dispatches(5_000)).await.unwrap();
    assert_eq!(server.calls("UpdateQueue"), 1);
}

#[tokio::test]
async fn a_second_plan_is_empty_in_every_process() {
    let server = server().await;
    let wanted = || {
        let emails = QueueConfig::new().with_retry(retrying()).with_max_dispatches_per_second(0.5);
        [("emails", emails), ("default", QueueConfig::new()), ("new", QueueConfig::new())]
    };
    let tasks = planner(builder(&server)).await;
    let first = plan(&tasks, wanted()).await;
    let told = first.to_string();
    for line in [
        "\n  update `emails`\n    max_dispatches_per_second: 500 -> 0.5\n",
        "\n    retry.max_attempts: 100 -> with each task\n",
        "\n    retry.min_backoff: 100 ms -> 2 s\n",
        "\n  update `default`\n",
        "\n  create `new`",
    ] {
        assert!(told.contains(line), "{line}\n{told}");
    }
    first.apply().await.unwrap();
    let stored = server.queue(PLACE, "emails").unwrap();
    assert_eq!(stored["retryConfig"]["maxAttempts"], -1);
    let calls = server.calls("UpdateQueue");
    for tasks in [tasks, planner(builder(&server)).await] {
        let second = plan(&tasks, wanted()).await;
        assert!(second.is_empty(), "{second}");
        second.apply().await.unwrap();
        let known = record(&tasks, "emails").await.config.unwrap();
        assert_eq!(known.retry(), &retrying(), "the limits travel with this process's tasks");
    }
    assert_eq!(server.calls("UpdateQueue"), calls, "nothing was written");
}

#[tokio::test]
async fn pauses_that_another_process_has_changed_are_a_difference() {
    let server = server().await;
    let (tasks, other) = (planner(builder(&server)).await, planner(builder(&server)).await);
    let emails = QueueConfig::new().with_retry(retrying());
    let wanted = [("emails", emails), ("default", QueueConfig::new())];
    plan(&tasks, wanted.clone()).await.apply().await.unwrap();
    let slower = retrying().with_min_backoff(5 * SECOND).with_max_attempts(Some(2));
    other.put_queue("emails", QueueConfig::new().with_retry(slower)).await.unwrap();
    let known = record(&tasks, "emails").await.config.unwrap().retry().clone();
    assert_eq!(
        (known.min_backoff(), known.max_attempts()),
        (5 * SECOND, Some(8)),
        "the limits are those of this process"
    );
    let again = plan(&tasks, wanted).await;
    assert!(again.to_string().contains("\n    retry.min_backoff: 5 s -> 2 s"), "{again}");
}

#[tokio::test]
async fn a_plan_takes_a_limit_away() {
    let server = server().await;
    let tasks = planner(builder(&server)).await;
    let limited = QueueConfig::new()
        .with_max_dispatches_per_second(3.0)
        .with_max_concurrent_dispatches(2)
        .with_retry(retrying());
    plan(&tasks, [("emails", limited), ("default", QueueConfig::new())])
        .await
        .apply()
        .await
        .unwrap();
    assert_eq!(limits(&server, "emails"), (3.0, 2));
    let free = [("emails", QueueConfig::new()), ("default", QueueConfig::new())];
    plan(&tasks, free.clone()).await.apply().await.unwrap();
    assert_eq!(limits(&server, "emails"), (500.0, 1_000), "Google's own");
    let again = plan(&tasks, free).await;
    assert!(again.is_empty(), "{again}");
    let retry = record(&tasks, "emails").await.config.unwrap().retry().clone();
    assert_eq!((retry.max_attempts(), retry.min_backoff()), (None, SECOND));
}

#[tokio::test]
async fn queues_for_dead_letters_are_made_and_neither_extra_nor_forgotten() {
    let server = server().await;
    let tasks = planner(builder(&server).dead_letter_queues()).await;
    let wanted = [("emails", QueueConfig::new()), ("new", QueueConfig::new())];
    let first = plan(&tasks, wanted.clone()).await;
    let told = first.to_string();
    assert!(told.contains("dead letters: lost -> kept"), "{told}");
    assert!(told.contains("not configured, and kept: `default`"), "{told}");
    first.apply().await.unwrap();
    for letters in ["emails-dead", "new-dead"] {
        assert_eq!(server.queue(PLACE, letters).unwrap()["state"], "PAUSED");
    }
    let second = plan(&tasks, wanted.clone()).await;
    let extra: Vec<_> = second.extra().iter().map(|queue| queue.as_str()).collect();
    assert_eq!((second.is_empty(), extra), (true, vec!["default"]), "{second}");
    second.delete_extra().apply().await.unwrap();
    assert!(server.queue(PLACE, "default").is_none());
    assert!(server.queue(PLACE, "emails-dead").is_some());
}

#[tokio::test]
async fn queues_that_tasks_name_are_made_by_a_plan_and_not_changed() {
    let server = Server::start().await;
    let backend = builder(&server).build().await.unwrap();
    let registry = Registry::new().with::<greet>();
    let tasks = Client::builder().registry(registry).build_push(backend).unwrap();
    let first = plan(&tasks, Queues::new()).await;
    assert!(first.to_string().contains("create `emails`, which tasks name"), "{first}");
    first.apply().await.unwrap();
    greet::defer("you").on(&tasks).await.unwrap();
    tasks.put_queue("emails", QueueConfig::new().with_retry(retrying())).await.unwrap();
    let second = plan(&tasks, Queues::new()).await;
    assert_eq!((second.is_empty(), second.extra().len()), (true, 0), "{second}");
    second.apply().await.unwrap();
    let kept = record(&tasks, "emails").await.config.unwrap();
    assert_eq!(kept.retry(), &retrying());
}

#[tokio::test]
async fn a_queue_yaml_means_the_same_at_google() {
    let server = server().await;
    let tasks = planner(builder(&server)).await;
    let file: Queues = "
queue:
- name: emails
  rate: 30/m
  max_concurrent_requests: 40
  retry_parameters: {task_retry_limit: 4, min_backoff_seconds: 3}
- name: bulk
  rate: 0
"
    .parse()
    .unwrap();
    let first = plan(&tasks, file.clone()).await;
    let told = first.to_string();
    assert!(
        !told.contains("bucket_size"),
        "Google chooses the size, so no default is taken: {told}"
    );
    assert!(
        told.contains("  `bulk`: max_concurrent_requests: 1000, task_retry_limit: none"),
        "{told}"
    );
    first.apply().await.unwrap();
    assert_eq!((limits(&server, "emails"), limits(&server, "default")), ((0.5, 40), (5.0, 1_000)));
    let state = |queue: &str| server.queue(PLACE, queue).unwrap()["state"].clone();
    assert_eq!((state("bulk"), state("emails")), ("PAUSED".into(), "RUNNING".into()));
    let known = record(&tasks, "emails").await.config.unwrap();
    assert_eq!(known.retry().max_attempts(), Some(5), "it travels with the tasks");
    let second = plan(&tasks, file).await;
    assert!(second.is_empty(), "{second}");
    let stated = "queue:\n- name: a\n  rate: 1/s\n  bucket_size: 7\n".parse::<Queues>().unwrap();
    let refused = tasks.plan_queues(stated).await.unwrap_err().to_string();
    assert!(refused.contains("queue `a`") && refused.contains("`bucket_size`"), "{refused}");
}
