//! Administration of queues and tasks.

use std::time::Duration;

use gae_tasks::{Error, QueueConfig, RetryConfig, TaskFilter, TaskId, TaskState};
use gae_tasks_tests_push::server::Fault;

use super::*;

#[tokio::test]
async fn a_queue_is_made_and_changed_and_never_gives_up() {
    let server = Server::start().await;
    let tasks = client(&server).await;
    let retry = RetryConfig::new()
        .with_max_attempts(Some(5))
        .with_max_retry_duration(Some(Duration::from_secs(60)))
        .with_min_backoff(Duration::from_secs(2))
        .with_max_backoff(Duration::from_secs(90))
        .with_max_doublings(0);
    tasks.put_queue("emails", QueueConfig::new().with_retry(retry)).await.unwrap();
    let stored = &server.queue(PLACE, "emails").unwrap()["retryConfig"];
    assert_eq!((&stored["maxAttempts"], &stored["maxRetryDuration"]), (&(-1).into(), &"0s".into()));
    assert_eq!((&stored["minBackoff"], &stored["maxBackoff"]), (&"2s".into(), &"90s".into()));
    assert_eq!(stored["maxDoublings"], 0, "a zero is written as a value");
    tasks.pause("emails").await.unwrap();
    tasks.put_queue("emails", QueueConfig::new()).await.unwrap();
    let queue = server.queue(PLACE, "emails").unwrap();
    assert_eq!(
        (&queue["state"], &queue["retryConfig"]["minBackoff"]),
        (&"PAUSED".into(), &"2s".into()),
        "not set"
    );
    tasks.put_queue("emails", QueueConfig::new().with_retry(RetryConfig::new())).await.unwrap();
    assert_eq!(server.queue(PLACE, "emails").unwrap()["retryConfig"]["minBackoff"], "1s");
}

#[tokio::test]
async fn a_queue_that_is_put_without_retries_gives_nothing_up_and_keeps_its_pauses() {
    let server = server().await;
    let before = server.queue(PLACE, "emails").unwrap()["retryConfig"]["minBackoff"].clone();
    client(&server).await.put_queue("emails", QueueConfig::new()).await.unwrap();
    let stored = &server.queue(PLACE, "emails").unwrap()["retryConfig"];
    assert_eq!((&stored["maxAttempts"], &stored["minBackoff"]), (&(-1).into(), &before));
}

#[tokio::test]
async fn a_new_queue_that_is_put_without_retries_has_the_default_pauses() {
    let server = Server::start().await;
    client(&server).await.put_queue("emails", QueueConfig::new()).await.unwrap();
    let stored = &server.queue(PLACE, "emails").unwrap()["retryConfig"];
    assert_eq!((&stored["minBackoff"], &stored["maxBackoff"]), (&"1s".into(), &"3600s".into()));
    assert_eq!((&stored["maxAttempts"], &stored["maxDoublings"]), (&(-1).into(), &16.into()));
}

#[tokio::test]
async fn what_only_workers_have_a_use_for_is_refused() {
    let server = server().await;
    let tasks = client(&server).await;
    let day = Duration::from_secs(24 * 60 * 60);
    let refused = [
        ("dead_letter_retention", QueueConfig::new().with_dead_letter_retention(day)),
        ("tombstone_retention", QueueConfig::new().with_tombstone_retention(day)),
        ("max_lost_attempts", QueueConfig::new().with_max_lost_attempts(3)),
        ("priority_step", QueueConfig::new().with_priority_step(day)),
    ];
    for (name, config) in refused {
        let answer = tasks.put_queue("emails", config).await;
        let Err(Error::Unsupported { backend: "cloudtasks", what, .. }) = answer else {
            panic!("{name}: {answer:?}");
        };
        assert!(what.contains(name), "{name}: {what}");
    }
}

#[tokio::test]
async fn a_queue_of_others_is_shown_with_its_own_limits() {
    let server = server().await;
    let tasks = client(&server).await;
    let queues = tasks.queues().await.unwrap();
    let names: Vec<_> = queues.iter().map(|queue| (queue.name.as_str(), queue.paused)).collect();
    assert_eq!(names, [("default", false), ("emails", false)]);
    let of_google = RetryConfig::new()
        .with_min_backoff(Duration::from_millis(100))
        .with_max_backoff(Duration::from_secs(3600))
        .with_max_doublings(16);
    assert_eq!(queues[0].config.as_ref().unwrap().retry(), &of_google);
    assert!(queues[0].forgets_tasks(), "after 100 attempts");
    tasks.put_queue("default", queues[0].config.clone().unwrap()).await.unwrap();
    assert!(
        !tasks.queues().await.unwrap()[0].forgets_tasks(),
        "a configuration that was read can be written"
    );
}

#[tokio::test]
async fn a_queue_that_was_put_never_gives_up_whatever_its_limits() {
    let server = server().await;
    let tasks = client(&server).await;
    let retry = RetryConfig::new().with_max_retry_duration(Some(Duration::from_secs(60)));
    tasks.put_queue("emails", QueueConfig::new().with_retry(retry)).await.unwrap();
    for tasks in [&tasks, &client(&server).await] {
        assert!(!tasks.queues().await.unwrap()[1].forgets_tasks());
    }
}

#[tokio::test]
async fn a_queue_is_paused_and_goes_on() {
    let server = server().await;
    let tasks = client(&server).await;
    let state = || server.queue(PLACE, "emails").unwrap()["state"].clone();
    tasks.pause("emails").await.unwrap();
    assert_eq!(state(), "PAUSED");
    assert!(tasks.queues().await.unwrap()[1].paused);
    tasks.resume("emails").await.unwrap();
    assert_eq!(state(), "RUNNING");
}

#[tokio::test]
async fn pausing_a_missing_queue_is_refused_and_makes_none() {
    let server = server().await;
    let tasks = client(&server).await;
    for refused in [tasks.pause("new").await, tasks.resume("new").await] {
        assert!(
            matches!(&refused, Err(Error::NoSuchQueue { queue, .. }) if queue == "new"),
            "{refused:?}"
        );
        assert!(refused.unwrap_err().to_string().contains("put_queue"));
    }
    assert_eq!(server.queue(PLACE, "new"), None);
    tasks.put_queue("new", QueueConfig::new()).await.unwrap();
    tasks.pause("new").await.unwrap();
    assert_eq!(server.queue(PLACE, "new").unwrap()["state"], "PAUSED");
}

#[tokio::test]
async fn a_purge_answers_how_many_tasks_there_were() {
    let server = server().await;
    let tasks = client(&server).await;
    tasks.defer_many((0..7).map(|i| greet::defer(i.to_string()))).await.unwrap();
    assert_eq!(tasks.purge("emails").await.unwrap().deleted, 7);
    assert!(server.tasks(PLACE, "emails").is_empty());
}

#[tokio::test]
async fn tasks_are_listed_in_the_order_they_were_deferred() {
    let server = server().await;
    let tasks = client(&server).await;
    let mut ids = Vec::new();
    for i in 0..7 {
        let queue = if i % 2 == 0 { "emails" } else { "default" };
        ids.push(greet::defer(i.to_string()).queue(queue).on(&tasks).await.unwrap().id);
    }
    let listed = tasks.list(TaskFilter::new(), None, 100).await.unwrap();
    assert_eq!(listed.iter().map(|record| record.spec.id).collect::<Vec<TaskId>>(), ids);
    let queue = TaskFilter::new().queue(gae_tasks::QueueName::new("emails").unwrap());
    let rest = tasks.list(queue, Some(ids[1]), 2).await.unwrap();
    assert_eq!(rest.iter().map(|record| record.spec.id).collect::<Vec<TaskId>>(), [ids[2], ids[4]]);
    let newest = tasks.list(TaskFilter::new(), Some(ids[5]), 2).newest_first().await.unwrap();
    assert_eq!(
        newest.iter().map(|record| record.spec.id).collect::<Vec<TaskId>>(),
        [ids[4], ids[3]]
    );
    assert!(newest.iter().all(|record| record.payload.is_none()), "payloads were not requested");
    let whole = tasks.list(TaskFilter::new(), None, 1).with_payloads().await.unwrap();
    assert_eq!(whole[0].payload.as_deref(), Some(&b"\x010"[..]));
}

#[tokio::test]
async fn lists_are_read_page_by_page() {
    let server = server().await;
    let tasks = client(&server).await;
    let mut ids: Vec<_> = Vec::new();
    // More than fit one page of the service.
    for answer in tasks.defer_many((0..120).map(|i| greet::defer(i.to_string()))).await.unwrap() {
        ids.push(answer.id);
    }
    let (mut seen, mut after) = (Vec::new(), None);
    loop {
        let page =
            tasks.list(TaskFilter::new().state(TaskState::Scheduled), after, 50).await.unwrap();
        let Some(last) = page.last() else { break };
        after = Some(last.spec.id);
        seen.extend(page.iter().map(|record| record.spec.id));
    }
    assert_eq!(seen, ids);
    assert!(
        tasks.list(TaskFilter::new().state(TaskState::Dead), None, 50).await.unwrap().is_empty()
    );
}

#[tokio::test]
async fn tasks_are_counted_without_their_bodies() {
    let server = server().await;
    let tasks = client(&server).await;
    greet::defer("now").on(&tasks).await.unwrap();
    greet::defer("later").after(Duration::from_secs(60)).on(&tasks).await.unwrap();
    let stats = tasks.stats_of::<greet>().await.unwrap();
    assert_eq!((stats.scheduled, stats.due, stats.leased, stats.dead), (2, 1, 0, 0));
    assert_eq!(tasks.unroutable().await.unwrap(), []);
    let lines = tasks.stats_by_route().await.unwrap();
    assert_eq!((lines.len(), lines[0].queue.as_str()), (1, "emails"));
}

#[tokio::test]
async fn named_and_unnamed_tasks_are_found_and_deleted_by_their_ids() {
    let server = server().await;
    let tasks = client(&server).await;
    for defer in [greet::defer("you"), greet::defer("you").named("you")] {
        let id = defer.on(&tasks).await.unwrap().id;
        assert_eq!(tasks.get(id).await.unwrap().unwrap().spec.id, id);
        assert!(tasks.delete(id).await.unwrap());
        assert!(tasks.get(id).await.unwrap().is_none());
        assert!(!tasks.delete(id).await.unwrap());
        let error = tasks.run_now(id).await.unwrap_err();
        assert!(matches!(error, Error::NoSuchTask { .. }), "{error}");
    }
}

#[tokio::test]
async fn tasks_of_other_programs_are_not_shown() {
    let server = server().await;
    let tasks = client(&server).await;
    let url = format!("{}/v2/{PLACE}/queues/emails/tasks", server.url());
    let body = r#"{"task":{"http_request":{"url":"http://elsewhere.test","body":"e30"}}}"#;
    let answer = reqwest::Client::new().post(url).body(body).send().await.unwrap();
    assert_eq!(answer.status(), 200);
    assert!(tasks.list(TaskFilter::new(), None, 10).await.unwrap().is_empty());
    assert_eq!(tasks.stats().await.unwrap().open(), 0);
    assert_eq!(tasks.purge("emails").await.unwrap().deleted, 1);
}

#[tokio::test]
async fn calls_by_hand_are_repeated_too() {
    let server = server().await;
    let tasks = client(&server).await;
    for call in ["PauseQueue", "ListQueues", "UpdateQueue"] {
        server.fault(call, Fault::Refuse(503));
        server.fault(call, Fault::LoseAnswer);
    }
    tasks.pause("emails").await.unwrap();
    tasks.put_queue("emails", QueueConfig::new()).await.unwrap();
    assert!(tasks.queues().await.unwrap()[1].paused);
}

#[tokio::test]
async fn a_task_is_found_by_its_name_in_its_queue() {
    let server = server().await;
    let tasks = client(&server).await;
    let named = greet::defer("you").named("welcome-1").on(&tasks).await.unwrap().id;
    let found = tasks.find("emails", "welcome-1").await.unwrap().unwrap();
    assert_eq!((found.spec.id, found.spec.name.unwrap().as_str()), (named, "welcome-1"));
    assert!(!found.payload.unwrap().is_empty());
    for (queue, name) in
        [("default", "welcome-1"), ("emails", "welcome-2"), ("unknown", "welcome-1")]
    {
        assert_eq!(tasks.find(queue, name).await.unwrap(), None, "{queue} {name}");
    }
    tasks.delete(named).await.unwrap();
    assert_eq!(tasks.find("emails", "welcome-1").await.unwrap(), None);
    greet::defer("you").on(&tasks).await.unwrap();
    let unnamed =
        only_task(&server)["name"].as_str().unwrap().rsplit('/').next().unwrap().to_owned();
    assert_eq!(
        tasks.find("emails", unnamed).await.unwrap(),
        None,
        "an id at Google is not a task name"
    );
    let refused = tasks.find("emails", "not a name").await;
    assert!(matches!(refused, Err(Error::TaskName { .. })), "{refused:?}");
}

#[tokio::test]
async fn a_queue_is_deleted_if_it_is_empty_or_with_its_tasks() {
    let server = server().await;
    let tasks = client(&server).await;
    tasks.defer_many((0..3).map(|i| greet::defer(i.to_string()))).await.unwrap();
    let refused = tasks.delete_queue("emails").await.unwrap_err();
    assert!(matches!(refused, Error::QueueInUse { tasks: 3, dead_letters: 0, .. }), "{refused}");
    assert_eq!(server.tasks(PLACE, "emails").len(), 3);
    tasks.delete_queue("default").await.unwrap();
    assert!(server.queue(PLACE, "default").is_none());
    server.fault("DeleteQueue", Fault::LoseAnswer);
    assert_eq!(
        tasks.delete_queue_with_tasks("emails").await.unwrap().deleted,
        3,
        "the call was carried out before the response was lost"
    );
    assert!(tasks.queues().await.unwrap().is_empty());
    tasks.delete_queue("emails").await.unwrap();
}
