//! The stored form of a deferred task.

use std::collections::BTreeSet;
use std::time::Duration;

use gae_tasks::{Client, Error};

use super::*;

#[tokio::test]
async fn a_task_is_stored_as_a_request_at_a_readable_url() {
    let server = server().await;
    let deferred = greet::defer("you").on(&client(&server).await).await.unwrap();
    assert!(deferred.created);
    let task = only_task(&server);
    let request = &task["httpRequest"];
    assert_eq!(request["url"], "http://worker.test/_cb/deferred/shop/greet");
    assert_eq!(request["httpMethod"], "POST");
    assert_eq!(request["headers"]["Content-Type"], "application/octet-stream");
    assert!(request["body"].as_str().unwrap().len() > 40, "{request}");
    assert_eq!(
        task["scheduleTime"].as_str().unwrap()[..19],
        task["createTime"].as_str().unwrap()[..19]
    );
    assert!(task.get("retryConfig").is_none() && request.get("oidcToken").is_none(), "{task}");
}

#[tokio::test]
async fn a_task_is_found_again_with_all_that_was_said_of_it() {
    let server = server().await;
    let tasks = client(&server).await;
    let defer =
        greet::defer("you").after(Duration::from_secs(3600)).named("welcome-1").max_attempts(3);
    let deferred = defer.deadline(Duration::from_secs(20)).on(&tasks).await.unwrap();
    let record = tasks.get(deferred.id).await.unwrap().unwrap();
    assert_eq!((record.spec.kind.as_str(), record.spec.queue.as_str()), ("shop/greet", "emails"));
    assert_eq!(record.spec.name.unwrap().as_str(), "welcome-1");
    assert_eq!(
        (record.spec.max_attempts, record.spec.deadline),
        (Some(3), Some(Duration::from_secs(20)))
    );
    let ahead = record.schedule_time.since(record.created);
    assert!(ahead.abs_diff(Duration::from_secs(3600)) < Duration::from_secs(5), "{ahead:?}");
    assert_eq!((record.attempts, record.errors.len(), record.spec.retry), (0, 0, None));
    let task = only_task(&server);
    assert_eq!(task["dispatchDeadline"], "20s");
    assert!(task["name"].as_str().unwrap().ends_with("/tasks/welcome-1"), "{task}");
}

#[tokio::test]
async fn names_of_unnamed_tasks_do_not_begin_with_the_time() {
    let server = server().await;
    let tasks = client(&server).await;
    let many = tasks.defer_many((0..40).map(|i| greet::defer(i.to_string()))).await.unwrap();
    let names: Vec<_> = server
        .tasks(PLACE, "emails")
        .iter()
        .map(|task| task["name"].as_str().unwrap().to_owned())
        .collect();
    let starts: BTreeSet<_> =
        names.iter().map(|name| name.rsplit('/').next().unwrap()[..6].to_owned()).collect();
    assert_eq!((many.len(), names.len(), starts.len() > 38), (40, 40, true), "{names:?}");
}

#[tokio::test]
async fn a_named_duplicate_answers_with_the_same_id() {
    let server = server().await;
    let (tasks, elsewhere) = (client(&server).await, client(&server).await);
    let first = greet::defer("you").named("once").on(&tasks).await.unwrap();
    let second = greet::defer("me").named("once").on(&elsewhere).await.unwrap();
    assert_eq!((first.created, second.created, second.id), (true, false, first.id));
    let other_queue = greet::defer("you").named("once").queue("default").on(&tasks).await.unwrap();
    assert!(other_queue.created && other_queue.id != first.id);
    let strict = greet::defer("you").named("once").must_be_new().on(&tasks).await.unwrap_err();
    assert!(matches!(strict, Error::NameTaken { .. }), "{strict}");
    assert_eq!(server.calls("GetTask"), 0, "no response was lost, so no task is looked up");
}

#[tokio::test]
async fn the_name_of_a_deleted_task_stays_blocked() {
    let server = server().await;
    let tasks = client(&server).await;
    let first = greet::defer("you").named("once").on(&tasks).await.unwrap();
    assert!(tasks.delete(first.id).await.unwrap());
    let again = greet::defer("you").named("once").on(&tasks).await.unwrap();
    assert_eq!((again.created, again.id), (false, first.id));
    server.advance(Duration::from_secs(25 * 3600));
    assert!(greet::defer("you").named("once").on(&tasks).await.unwrap().created);
}

#[tokio::test]
async fn one_bad_task_does_not_fail_its_neighbours() {
    let server = server().await;
    let tasks = client(&server).await;
    let many = [greet::defer("a"), greet::defer("b").queue("missing"), greet::defer("c")];
    let error = tasks.defer_many(many).await.unwrap_err();
    let Error::Partial { results, .. } = error else { panic!("{error}") };
    let stored: Vec<_> = results.iter().map(Result::is_ok).collect();
    assert_eq!((stored, server.tasks(PLACE, "emails").len()), (vec![true, false, true], 2));
}

#[tokio::test]
async fn answers_of_many_tasks_are_in_their_order() {
    let server = server().await;
    let tasks = client(&server).await;
    let many = (0..100).map(|i| greet::defer(i.to_string()).named(format!("n-{i}")));
    let answers = tasks.defer_many(many).await.unwrap();
    for (i, answer) in answers.iter().enumerate() {
        let again = greet::defer("again").named(format!("n-{i}")).on(&tasks).await.unwrap();
        assert_eq!((again.id, again.created), (answer.id, false));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn fifty_callers_at_once_store_fifty_tasks() {
    let server = server().await;
    let tasks = client(&server).await;
    let callers: Vec<_> = (0..50)
        .map(|i| {
            let tasks = tasks.clone();
            tokio::spawn(async move { greet::defer(i.to_string()).on(&tasks).await.unwrap().id })
        })
        .collect();
    let mut ids = BTreeSet::new();
    for caller in callers {
        ids.insert(caller.await.unwrap());
    }
    assert_eq!((ids.len(), server.tasks(PLACE, "emails").len()), (50, 50));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn code_without_a_runtime_defers_too() {
    let server = server().await;
    let tasks = client(&server).await;
    let deferred =
        std::thread::spawn(move || greet::defer("you").on(&tasks).wait()).join().unwrap().unwrap();
    assert!(deferred.created);
    assert_eq!(server.tasks(PLACE, "emails").len(), 1);
}

#[test]
fn the_client_outlives_the_runtime_it_was_made_in() {
    let runtime = || {
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
    };
    let serving = runtime();
    let server = serving.block_on(server());
    let tasks: Client = {
        let first = runtime();
        let tasks = first.block_on(client(&server));
        first.block_on(greet::defer("one").on(&tasks).into_future()).unwrap();
        tasks
    };
    runtime().block_on(greet::defer("two").on(&tasks).into_future()).unwrap();
    assert_eq!(server.tasks(PLACE, "emails").len(), 2);
}

#[tokio::test]
async fn the_limits_of_a_queue_put_by_this_process_travel_with_its_tasks() {
    use gae_tasks::{QueueConfig, RetryConfig};
    let server = server().await;
    let tasks = client(&server).await;
    let plain = greet::defer("you").on(&tasks).await.unwrap().id;
    let retry = RetryConfig::new().with_max_attempts(Some(4)).with_max_doublings(0);
    tasks.put_queue("emails", QueueConfig::new().with_retry(retry.clone())).await.unwrap();
    let limited = greet::defer("you").on(&tasks).await.unwrap().id;
    let size = |id: gae_tasks::TaskId| {
        let name: String =
            id.as_bytes().iter().rev().take(8).map(|byte| format!("{byte:02x}")).collect();
        let stored = server.tasks(PLACE, "emails");
        let task = stored
            .iter()
            .find(|task| task["name"].as_str().unwrap().contains(&name))
            .unwrap()
            .clone();
        task["httpRequest"]["body"].as_str().unwrap().len()
    };
    assert!(size(limited) > size(plain), "the envelope holds the queue's settings");
    // The settings are the queue's, not the task's own.
    assert_eq!(tasks.get(limited).await.unwrap().unwrap().spec.retry, None);
    assert_eq!(tasks.queues().await.unwrap()[1].config.as_ref().unwrap().retry(), &retry);
}
