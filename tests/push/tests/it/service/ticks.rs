//! Requests of Cloud Scheduler, and of App Engine's cron service: a tick of a schedule that the
//! program declares.

use bytes::Bytes;
use gae_tasks::backend::memory::Memory;
use gae_tasks::push::verify::AppEngine;
use gae_tasks::testing::{Fault, Faulty, ManualClock, Operation};
use gae_tasks::{Client, CloudScheduler, Error, Registry, TaskFilter, deferred};
use http::{Request, StatusCode};

use super::stage::{SECRET, Secret};
use super::status::{Send, Tower};

#[deferred(
    name = "shop.reports/daily",
    queue = "reports",
    cron = "0 9 * * MON-FRI",
    timezone = "Europe/Paris",
    cron_args(customer = 7)
)]
async fn daily(customer: u64) {
    _ = customer;
}

#[deferred(name = "shop.reports/other")]
async fn other() {}

#[deferred(name = "shop.reports/last", cron = "0 9 L * *")]
async fn last() {}

#[deferred(name = "shop.reports/often", cron = "every 5 minutes")]
async fn often() {}

/// A program with its push service.
struct World {
    storage: Faulty<Memory>,
    tasks: Client,
    service: Tower,
}

impl World {
    fn new() -> Self {
        let storage = Faulty::new(Memory::new());
        let registry = Registry::new().with::<daily>().with::<other>();
        let builder = Client::builder().program("shop").registry(registry);
        let tasks = builder.build(storage.clone()).unwrap();
        let service = tasks.push_service().verify(Secret).log_dead_letters().build().unwrap();
        Self { storage, tasks, service: Tower(service) }
    }

    async fn send(&self, change: impl FnOnce(&mut Request<Bytes>)) -> StatusCode {
        let mut request = Request::post("/_cb/deferred/shop.reports/daily")
            .header("x-secret", SECRET)
            .header("x-cloudscheduler", "true")
            .header("x-cloudscheduler-scheduletime", "2026-03-02T09:00:00+01:00")
            .body(Bytes::new())
            .unwrap();
        change(&mut request);
        self.service.send(request).await.0
    }

    async fn names(&self) -> Vec<String> {
        names(&self.tasks).await
    }
}

async fn names(tasks: &Client) -> Vec<String> {
    let stored = tasks.list(TaskFilter::new(), None, 100).await.unwrap();
    stored.iter().map(|record| record.spec.name.clone().unwrap().to_string()).collect()
}

/// A program on App Engine, at this time.
fn on_app_engine(now: &str) -> (Client, Tower) {
    let registry = Registry::new().with::<daily>().with::<other>().with::<often>();
    let builder = Client::builder().program("shop").registry(registry);
    let tasks = builder.clock(ManualClock::at(now.parse().unwrap())).build(Memory::new()).unwrap();
    let verifier = AppEngine::assume_headers_are_stripped();
    let service = tasks.push_service().verify(verifier).log_dead_letters().build().unwrap();
    (tasks, Tower(service))
}

/// Calls for this task as App Engine's cron service does, if it has these values of its header.
async fn call(service: &Tower, kind: &str, values: &[&str]) -> StatusCode {
    let mut request = Request::get(format!("/_cb/deferred/{kind}"));
    for value in values {
        request = request.header("X-Appengine-Cron", *value);
    }
    service.send(request.body(Bytes::new()).unwrap()).await.0
}

#[tokio::test]
async fn a_tick_stores_the_task_that_the_program_declares_once() {
    let world = World::new();
    for _ in 0..2 {
        assert_eq!(world.send(|_| {}).await, StatusCode::OK, "the second one is a repetition");
    }
    let [name] = world.names().await.try_into().unwrap();
    assert!(
        name.starts_with("shop-reports-daily-") && name.ends_with("-20260302T080000Z"),
        "{name}"
    );
    let stored = world.tasks.find("reports", &name).await.unwrap().unwrap();
    let direct = daily::defer(7).on(&world.tasks).await.unwrap();
    let direct = world.tasks.get(direct.id).await.unwrap().unwrap();
    assert_eq!((stored.payload, stored.spec.shape), (direct.payload, direct.spec.shape));
    world.tasks.delete(direct.spec.id).await.unwrap();
    let later = "2026-03-03T09:00:00+01:00";
    let next = |request: &mut Request<Bytes>| {
        request.headers_mut().insert("x-cloudscheduler-scheduletime", later.parse().unwrap());
    };
    assert_eq!(world.send(next).await, StatusCode::OK);
    assert_eq!(world.names().await.len(), 2);
}

#[tokio::test]
async fn a_tick_is_verified_like_a_task() {
    let world = World::new();
    let guessed = |request: &mut Request<Bytes>| {
        request.headers_mut().insert("x-secret", "guess".parse().unwrap());
    };
    assert_eq!(world.send(guessed).await, StatusCode::FORBIDDEN);
    let got = |request: &mut Request<Bytes>| *request.method_mut() = http::Method::GET;
    assert_eq!(world.send(got).await, StatusCode::METHOD_NOT_ALLOWED);
    assert!(world.names().await.is_empty());
}

#[tokio::test]
async fn what_is_no_tick_stores_nothing() {
    let world = World::new();
    let of_other = |request: &mut Request<Bytes>| {
        *request.uri_mut() = "/_cb/deferred/shop.reports/other".parse().unwrap();
    };
    assert_eq!(world.send(of_other).await, StatusCode::NOT_FOUND, "it has no schedule");
    let garbled = |request: &mut Request<Bytes>| {
        request.headers_mut().insert("x-cloudscheduler-scheduletime", "soon".parse().unwrap());
    };
    assert_eq!(world.send(garbled).await, StatusCode::INTERNAL_SERVER_ERROR);
    let twice = |request: &mut Request<Bytes>| {
        let another = "2026-03-03T09:00:00+01:00".parse().unwrap();
        request.headers_mut().append("x-cloudscheduler-scheduletime", another);
    };
    assert_eq!(world.send(twice).await, StatusCode::INTERNAL_SERVER_ERROR, "either may count");
    let of_queue = |request: &mut Request<Bytes>| {
        request.headers_mut().insert("x-cloudtasks-queuename", "reports".parse().unwrap());
        *request.body_mut() = Bytes::from_static(b"no task");
    };
    assert_eq!(world.send(of_queue).await, StatusCode::OK, "its body can never be a task");
    assert!(world.names().await.is_empty());
}

#[tokio::test]
async fn a_tick_that_cannot_be_stored_is_sent_again() {
    let world = World::new();
    _ = world.storage.clone().with(Operation::Enqueue, 1, Fault::Fail);
    assert_eq!(world.send(|_| {}).await, StatusCode::INTERNAL_SERVER_ERROR);
    assert_eq!(world.send(|_| {}).await, StatusCode::OK);
    assert_eq!(world.names().await.len(), 1);
}

#[tokio::test]
async fn the_cron_service_of_app_engine_stores_the_task_of_the_last_tick_once() {
    // On time, by a clock that is behind, and late.
    for now in ["2026-03-02T08:00:00.4Z", "2026-03-02T07:59:58Z", "2026-03-02T08:20:00Z"] {
        let (tasks, service) = on_app_engine(now);
        for _ in 0..2 {
            assert_eq!(call(&service, "shop.reports/daily", &["true"]).await, StatusCode::OK);
        }
        let [name] = names(&tasks).await.try_into().unwrap();
        assert!(name.ends_with("-20260302T080000Z"), "{now}: {name}");
    }
    let (tasks, service) = on_app_engine("2026-03-02T08:07:30Z");
    assert_eq!(call(&service, "shop.reports/often", &["true"]).await, StatusCode::OK);
    let [name] = names(&tasks).await.try_into().unwrap();
    assert!(name.ends_with("-20260302T080700Z"), "an interval has no times of its own: {name}");
    let unknown = call(&service, "shop.reports/other", &["true"]).await;
    assert_eq!(unknown, StatusCode::NOT_FOUND, "it has no schedule");
}

#[tokio::test]
async fn only_app_engine_proves_that_its_cron_service_calls() {
    let (tasks, service) = on_app_engine("2026-03-02T08:00:00Z");
    for values in [&[][..], &["false"], &["true", "true"]] {
        let status = call(&service, "shop.reports/daily", values).await;
        assert_eq!(status, StatusCode::FORBIDDEN, "{values:?}");
    }
    let sent = Request::post("/_cb/deferred/shop.reports/daily").header("x-appengine-cron", "true");
    let (status, _) = service.send(sent.body(Bytes::new()).unwrap()).await;
    assert_eq!(status, StatusCode::FORBIDDEN, "it sends no task");
    assert!(names(&tasks).await.is_empty());
    let world = World::new();
    let status = call(&world.service, "shop.reports/daily", &["true"]).await;
    assert_eq!(status, StatusCode::FORBIDDEN, "the header proves nothing elsewhere");
    assert!(world.names().await.is_empty());
}

#[tokio::test]
async fn the_schedules_of_a_program_are_jobs_of_cloud_scheduler() {
    let world = World::new();
    let scheduler = CloudScheduler::new("https://shop.example").location("europe-west1");
    let [job] = world.tasks.cloud_scheduler_jobs(&scheduler).unwrap().try_into().unwrap();
    assert_eq!(
        (job.name.as_str(), job.schedule.as_str()),
        ("shop-reports-daily", "0 9 * * MON-FRI")
    );
    assert_eq!(job.time_zone, "Europe/Paris");
    assert_eq!(job.uri, "https://shop.example/_cb/deferred/shop.reports/daily");
    assert!(job.to_string().starts_with("gcloud scheduler jobs create http shop-reports-daily "));
}

#[tokio::test]
async fn schedules_that_cloud_scheduler_does_not_have_are_refused_all_at_once() {
    let registry = Registry::new().with::<daily>().with::<last>().with::<often>();
    let tasks = Client::builder().registry(registry).build(Memory::new()).unwrap();
    let refused = tasks.cloud_scheduler_jobs(&CloudScheduler::new("https://shop.example"));
    let error = refused.unwrap_err();
    assert!(matches!(error, Error::Misconfigured { .. }), "{error}");
    let text = error.to_string();
    assert!(
        text.contains("`shop.reports/last`") && text.contains("`shop.reports/often`"),
        "{text}"
    );
    assert!(!text.contains("shop.reports/daily"), "{text}");
}
