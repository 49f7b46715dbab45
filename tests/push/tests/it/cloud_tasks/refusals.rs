//! Every refusal of the service becomes an error with the fix in the message.

use std::time::{Duration, SystemTime};

use gae_tasks::backend::{Backend, Enqueue, NewTask};
use gae_tasks::push::verify::SharedSecret;
use gae_tasks::testing::ManualClock;
use gae_tasks::{
    Error, Kind, Now, QueueName, Registry, RetryConfig, Shape, TaskFilter, TaskSpec, Unique, Worker,
};
use gae_tasks_tests_push::server::Fault;

use super::*;

async fn refusal(tasks: &Client) -> Error {
    greet::defer("you").on(tasks).await.unwrap_err()
}

#[tokio::test]
async fn a_missing_queue_is_named_with_the_way_to_make_it() {
    let server = Server::start().await;
    let text = refusal(&client(&server).await).await.to_string();
    for part in [
        "has no queue `emails` in projects/shop/locations/europe-west1",
        "put_queue",
        "gcloud tasks queues create",
        "--max-attempts=-1 --min-backoff=1s",
    ] {
        assert!(text.contains(part), "{text}");
    }
    assert_eq!(server.calls("CreateTask"), 1, "a missing queue is not asked for again");
}

#[tokio::test]
async fn a_missing_permission_is_named_with_its_role() {
    let server = Server::builder().deny("shop").start().await;
    let error = refusal(&client(&server).await).await;
    let text = chain(&error);
    for part in [
        "cloudtasks.tasks.create",
        "roles/cloudtasks.enqueuer",
        "Permission denied on resource project shop.",
    ] {
        assert!(text.contains(part), "{text}");
    }
    let account = builder(&server).service_account("queue@shop.iam.gserviceaccount.com");
    let text = refusal(&client_of(account).await).await.to_string();
    assert!(
        text.contains("roles/iam.serviceAccountUser") && text.contains("`queue@shop"),
        "{text}"
    );
    let text = client(&server).await.pause("emails").await.unwrap_err().to_string();
    assert!(
        text.contains("cloudtasks.queues.pause") && text.contains("roles/cloudtasks.queueAdmin"),
        "{text}"
    );
}

#[tokio::test]
async fn missing_credentials_are_named() {
    let server = server().await;
    server.fault("CreateTask", Fault::Refuse(401));
    let text = refusal(&client(&server).await).await.to_string();
    assert!(text.contains("gcloud auth application-default login"), "{text}");
}

#[tokio::test]
async fn a_service_account_that_does_not_exist_is_named() {
    let server = server().await;
    server.fault("CreateTask", Fault::Refuse(404));
    let account = builder(&server).service_account("nobody@shop.iam.gserviceaccount.com");
    let text = refusal(&client_of(account).await).await.to_string();
    assert!(
        text.contains("finds no service account `nobody@shop.iam.gserviceaccount.com`"),
        "{text}"
    );
}

#[tokio::test]
async fn limits_are_checked_before_anything_is_sent() {
    let server = server().await;
    let tasks = client(&server).await;
    let far =
        greet::defer("you").after(Duration::from_secs(31 * 86_400)).on(&tasks).await.unwrap_err();
    assert!(matches!(far, Error::BeyondHorizon { .. }), "{far}");
    let deadline =
        greet::defer("you").deadline(Duration::from_secs(1801)).on(&tasks).await.unwrap_err();
    assert!(matches!(deadline, Error::DeadlineOutOfRange { .. }), "{deadline}");
    let large = greet::defer("x".repeat(100_000)).on(&tasks).await.unwrap_err();
    assert!(matches!(large, Error::PayloadTooLarge { limit: 100_000, .. }), "{large}");
    assert_eq!(server.calls("CreateTask"), 0);
}

#[tokio::test]
async fn the_limits_themselves_are_accepted() {
    let server = server().await;
    let tasks = client_of(builder(&server).max_payload(1_000_000)).await;
    for seconds in [1, 1800] {
        greet::defer("you").deadline(Duration::from_secs(seconds)).on(&tasks).await.unwrap();
    }
    greet::defer("x".repeat(999_900)).on(&tasks).await.unwrap();
    greet::defer("you").after(Duration::from_secs(30 * 86_400 - 1)).on(&tasks).await.unwrap();
    assert_eq!(server.tasks(PLACE, "emails").len(), 4);
}

#[tokio::test]
async fn a_schedule_that_the_service_finds_too_far_is_told_as_such() {
    let server = server().await;
    // Deferred with a clock that is an hour ahead of the service's.
    let clock = ManualClock::at((SystemTime::now() + Duration::from_secs(3600)).into());
    let backend = builder(&server).build().await.unwrap();
    let tasks = Client::builder().clock(clock).build_push(backend).unwrap();
    let month = Duration::from_secs(30 * 86_400);
    let error = greet::defer("you").after(month).on(&tasks).await.unwrap_err();
    assert!(matches!(error, Error::BeyondHorizon { ahead, .. } if ahead == month), "{error}");
    assert_eq!(server.calls("CreateTask"), 1);
}

/// Returns a task that this crate's client would not make.
fn unchecked(payload: usize) -> NewTask {
    NewTask::new(
        TaskSpec::new(
            "0190163d-8694-739b-aea5-966c26f8ad91".parse().unwrap(),
            Kind::new("shop/greet").unwrap(),
            Shape::from_bits(1),
            QueueName::new("emails").unwrap(),
        ),
        vec![7; payload],
        [],
    )
    .with(|task| task.spec.deadline = Some(Duration::from_secs(1)))
}

async fn enqueue(server: &Server, task: NewTask) -> Result<gae_tasks::Deferred, Error> {
    let backend = builder(server).build().await.unwrap();
    let request = Enqueue::new(Now::Storage, vec![task]);
    backend.enqueue(request).await.unwrap().remove(0)
}

#[tokio::test]
async fn a_task_that_the_service_finds_too_large_is_told_as_such() {
    let server = server().await;
    let error = enqueue(&server, unchecked(1_100_000)).await.unwrap_err();
    assert!(matches!(error, Error::PayloadTooLarge { size: 1_100_000, .. }), "{error}");
}

#[tokio::test]
async fn a_deadline_that_the_service_does_not_know_is_kept_by_the_handler() {
    let server = server().await;
    let deferred = enqueue(&server, unchecked(10)).await.unwrap();
    assert_eq!(only_task(&server)["dispatchDeadline"], "15s");
    let record = client(&server).await.get(deferred.id).await.unwrap().unwrap();
    assert_eq!(record.spec.deadline, Some(Duration::from_secs(1)));
}

#[tokio::test]
async fn a_task_that_is_stored_twice_is_there_once() {
    let server = server().await;
    let (first, second) = (
        enqueue(&server, unchecked(10)).await.unwrap(),
        enqueue(&server, unchecked(10)).await.unwrap(),
    );
    assert_eq!(first, second);
    only_task(&server);
}

#[tokio::test]
async fn a_tasks_own_retries_are_unlimited_at_the_queue() {
    let server = server().await;
    let retry =
        RetryConfig::new().with_max_attempts(Some(3)).with_min_backoff(Duration::from_secs(2));
    let deferred =
        enqueue(&server, unchecked(10).with(|task| task.spec.retry = Some(retry.clone())))
            .await
            .unwrap();
    let stored = &only_task(&server)["retryConfig"];
    assert_eq!((&stored["maxAttempts"], &stored["minBackoff"]), (&(-1).into(), &"2s".into()));
    assert_eq!(
        client(&server).await.get(deferred.id).await.unwrap().unwrap().spec.retry,
        Some(retry)
    );
}

#[deferred(name = "shop/states_its_backoff", queue = "emails", min_backoff = "5s")]
async fn states_its_backoff() {}

#[tokio::test]
async fn a_backoff_of_a_tasks_own_is_refused_where_it_is_deferred() {
    let server = server().await;
    let tasks = client(&server).await;
    let limits = RetryConfig::new().with_max_attempts(Some(3));
    let stated = [
        (states_its_backoff::defer(), "`min_backoff`"),
        (states_its_backoff::defer().retry(limits.clone()), "`min_backoff`"),
        (
            greet::defer("you").retry(limits.clone().with_min_backoff(Duration::from_secs(5))),
            "`.retry(..)`",
        ),
        (greet::defer("you").retry(limits.clone().with_max_doublings(16)), "`.retry(..)`"),
    ];
    for (deferred, named) in stated {
        let refused = deferred.on(&tasks).await.unwrap_err();
        assert!(
            matches!(refused, Error::UnsupportedBackoff { backend: "cloudtasks", .. }),
            "{refused:?}"
        );
        let text = refused.to_string();
        assert!(text.contains(named) && text.contains("put_queue"), "{text}");
    }
    assert!(server.tasks(PLACE, "emails").is_empty());
    greet::defer("you").retry(limits).on(&tasks).await.unwrap();
}

#[deferred(name = "shop/has_a_priority", queue = "emails", priority = 5)]
async fn has_a_priority() {}

#[tokio::test]
async fn a_priority_is_refused_where_it_is_deferred() {
    let server = server().await;
    let tasks = client(&server).await;
    let stated = [
        (has_a_priority::defer(), "`priority` in its attribute"),
        (has_a_priority::defer().priority(-1), "`.priority(..)`"),
        (greet::defer("you").priority(1), "`.priority(..)`"),
    ];
    for (deferred, named) in stated {
        let refused = deferred.on(&tasks).await.unwrap_err();
        assert!(
            matches!(refused, Error::UnsupportedPriority { backend: "cloudtasks", .. }),
            "{refused:?}"
        );
        assert!(refused.to_string().contains(named), "{refused}");
    }
    assert!(server.tasks(PLACE, "emails").is_empty());
    has_a_priority::defer().priority(0).on(&tasks).await.unwrap();
    greet::defer("you").priority(0).on(&tasks).await.unwrap();
}

#[tokio::test]
async fn a_priority_is_refused_where_a_service_is_built() {
    let server = server().await;
    let backend = builder(&server).build().await.unwrap();
    let registry = Registry::new().with::<greet>().with::<has_a_priority>();
    let tasks = Client::builder().registry(registry).build_push(backend).unwrap();
    let Error::Misconfigured { problems, .. } = tasks.push_service().build().unwrap_err() else {
        panic!()
    };
    let mut of_priority = problems.iter().filter(|problem| problem.contains("`priority`"));
    let problem = of_priority.next().expect("it is reported");
    assert!(problem.contains("`shop/has_a_priority`"), "{problems:?}");
    assert_eq!(of_priority.next(), None, "{problems:?}");
}

#[tokio::test]
async fn a_backoff_of_a_tasks_own_is_refused_where_a_service_is_built() {
    let server = server().await;
    let backend = builder(&server).build().await.unwrap();
    let registry = Registry::new().with::<greet>().with::<states_its_backoff>();
    let tasks = Client::builder().registry(registry).build_push(backend).unwrap();
    let Error::Misconfigured { problems, .. } = tasks.push_service().build().unwrap_err() else {
        panic!()
    };
    let of_backoff: Vec<_> =
        problems.iter().filter(|problem| problem.contains("min_backoff")).collect();
    assert_eq!(of_backoff.len(), 1, "{problems:?}");
    assert!(
        of_backoff[0].contains("`shop/states_its_backoff`") && of_backoff[0].contains("put_queue"),
        "{problems:?}"
    );
}

#[tokio::test]
async fn no_worker_leases_from_it() {
    let server = server().await;
    let error = client(&server).await.worker().await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "the `cloudtasks` backend does not support workers, as it calls handlers over HTTP"
    );
    // Other backends support workers; a compile-time refusal is shown in the documentation.
    _ = Worker::new(gae_tasks::backend::memory::Memory::new());
}

#[tokio::test]
async fn what_it_cannot_do_is_said() {
    let server = server().await;
    let tasks = client(&server).await;
    let id = greet::defer("you").on(&tasks).await.unwrap().id;
    let error = tasks.replay(id).await.unwrap_err();
    assert!(matches!(error, Error::Unsupported { .. }), "{error}");
}

#[tokio::test]
async fn a_retention_is_refused_when_the_client_is_made() {
    let server = server().await;
    let day = Duration::from_secs(24 * 60 * 60);
    for stated in
        [Client::builder().dead_letter_retention(day), Client::builder().tombstone_retention(day)]
    {
        let refused = stated.build_push(builder(&server).build().await.unwrap()).unwrap_err();
        assert!(matches!(refused, Error::Unsupported { backend: "cloudtasks", .. }), "{refused:?}");
        assert!(refused.to_string().contains("remove it from the builder"), "{refused}");
    }
}

/// A loop over the pages of an emulator that ignores page tokens once made 22,830 requests.
#[tokio::test]
async fn a_server_that_repeats_a_page_is_asked_no_further() {
    use axum::extract::RawQuery;
    let asked = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
    let seen = asked.clone();
    let answer = move |RawQuery(query): RawQuery| async move {
        seen.lock().unwrap().push(query.unwrap_or_default());
        ([("content-type", "application/json")], r#"{"nextPageToken":"again"}"#)
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(axum::serve(listener, axum::Router::new().fallback(answer)).into_future());
    let backend =
        CloudTasks::builder("shop", "europe-west1").http(WORKER).endpoint(url).anonymous();
    let tasks = client_of(backend).await;
    let text = tasks.queues().await.unwrap_err().to_string();
    assert!(text.contains("ignores page tokens"), "{text}");
    let queries = std::mem::take(&mut *asked.lock().unwrap());
    assert!(
        queries.len() == 2 && queries.iter().all(|query| query.contains("pageSize=1000")),
        "{queries:?}"
    );
    let text = tasks
        .list(TaskFilter::new().queue(QueueName::DEFAULT), None, 9)
        .await
        .unwrap_err()
        .to_string();
    assert!(text.contains("ignores page tokens") && asked.lock().unwrap().len() == 2, "{text}");
}

/// A task with a longer deadline than Google gives any attempt at an HTTP target.
#[deferred(name = "shop/slow", queue = "emails", deadline = "40m")]
async fn slow() {}

#[tokio::test]
async fn the_deadline_of_a_task_type_is_refused_when_it_is_deferred() {
    let server = server().await;
    let refused = slow::defer().on(&client(&server).await).await.unwrap_err();
    assert!(matches!(refused, Error::DeadlineOutOfRange { .. }), "{refused}");
    assert_eq!(server.tasks(PLACE, "emails").len(), 0);
    // On App Engine the limit is a day.
    let app_engine =
        CloudTasks::builder("shop", "europe-west1").endpoint(server.url()).anonymous().app_engine();
    slow::defer().on(&client_of(app_engine).await).await.unwrap();
    slow::defer().deadline(Duration::from_secs(60)).on(&client(&server).await).await.unwrap();
}

#[tokio::test]
async fn headers_that_cannot_be_sent_are_refused_when_they_are_said() {
    let server = server().await;
    let tasks = client(&server).await;
    for (name, value) in [
        ("X-Deferred-Task", "x"),
        ("X-Deferred-Letter", "1"),
        ("X-CloudTasks-TaskName", "x"),
        ("a header", "x"),
        ("X-A", "s3cret\n"),
    ] {
        let refused =
            greet::defer("you").header(name, value).on(&tasks).await.unwrap_err().to_string();
        assert!(refused.contains(name) && !refused.contains("s3cret"), "{refused}");
        let refused = builder(&server).header(name, value).build().await.unwrap_err().to_string();
        assert!(refused.contains(name) && !refused.contains("s3cret"), "{refused}");
    }
    assert_eq!(server.calls("CreateTask"), 0);
    let allowed = builder(&server)
        .header(SharedSecret::HEADER, "correct horse battery")
        .header("Authorization", "x y");
    allowed.build().await.unwrap();
}

#[tokio::test]
async fn a_unique_task_is_what_a_name_can_do() {
    let server = server().await;
    let tasks = client(&server).await;
    let call = |unique| greet::defer("you").unique(unique).on(&tasks);
    let named = || Unique::by_args().over_dead().over_finished();
    let first = call(named()).await.unwrap();
    let again = call(named()).await.unwrap();
    assert_eq!((again.id, again.created), (first.id, false));
    let name = only_task(&server)["name"].as_str().unwrap().to_owned();
    assert!(name.contains("/tasks/unique-"), "{name}");
    let refused = [
        (Unique::by_args(), "though not over dead letters"),
        (Unique::by_args().over_dead(), "though not over finished tasks"),
        (named().behind(), "behind a task that runs"),
        (named().replace_args(), "replaces the args"),
        (named().replace_schedule(), "changes the time"),
        (named().debounce(Duration::from_secs(1)), "changes the time"),
    ];
    for (unique, how) in refused {
        let text = call(unique).await.unwrap_err().to_string();
        assert!(text.contains(how) && text.contains("`cloudtasks` backend"), "{text}");
    }
    assert_eq!(server.calls("CreateTask"), 2, "what is refused is not sent");
}
