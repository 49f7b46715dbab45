//! The memory of attempts: limits for all bodies and stored payloads together, and for each.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use gae_tasks::backend::cloud_tasks::CloudTasks;
use gae_tasks::payload_store::{PayloadStore, Stored};
use gae_tasks::push::PushService;
use gae_tasks::{Client, PushServiceBuilder, Registry, Timestamp};
use gae_tasks_tests_push::server::Server;
use http::{Request, StatusCode};
use http_body_util::Full;
use tokio::task::JoinHandle;
use tower::ServiceExt;

use super::guards::in_pieces;
use super::stage::{World, hold, wait};
use super::status::{Send, Tower};

const KIB: usize = 1024;

/// A payload store in memory, with the limits of each read.
#[derive(Debug, Clone, Default)]
struct Store(Arc<Mutex<Kept>>);

#[derive(Debug, Default)]
struct Kept {
    payloads: HashMap<String, Vec<u8>>,
    limits: Vec<u64>,
}

impl Store {
    fn limits(&self) -> Vec<u64> {
        std::mem::take(&mut self.0.lock().unwrap().limits)
    }

    /// Replaces the only payload.
    fn replace(&self, payload: impl FnOnce(&str) -> Vec<u8>) {
        let payloads = &mut self.0.lock().unwrap().payloads;
        let (key, old) = payloads.iter_mut().next().unwrap();
        *old = payload(key);
    }
}

impl PayloadStore for Store {
    fn name(&self) -> String {
        "memory of a test".to_owned()
    }

    fn put<'a>(&'a self, key: &'a str, payload: Vec<u8>) -> Stored<'a, ()> {
        self.0.lock().unwrap().payloads.insert(key.to_owned(), payload);
        Box::pin(async { Ok(()) })
    }

    fn get<'a>(&'a self, _: &'a str) -> Stored<'a, Option<Vec<u8>>> {
        panic!("a payload was read without a limit")
    }

    fn get_at_most<'a>(&'a self, key: &'a str, limit: u64) -> Stored<'a, Option<Vec<u8>>> {
        let mut kept = self.0.lock().unwrap();
        kept.limits.push(limit);
        let mut found = kept.payloads.get(key).cloned();
        found.iter_mut().for_each(|payload| payload.truncate(limit as usize + 1));
        Box::pin(async { Ok(found) })
    }

    fn delete<'a>(&'a self, key: &'a str) -> Stored<'a, ()> {
        self.0.lock().unwrap().payloads.remove(key);
        Box::pin(async { Ok(()) })
    }

    fn put_before(&self, _: Timestamp) -> Stored<'_, Vec<String>> {
        Box::pin(async { Ok(Vec::new()) })
    }
}

/// A service, and the bodies of tasks with payloads in its store.
struct Spilled {
    world: World,
    store: Store,
    client: Client,
    queue: Server,
}

impl Spilled {
    async fn new() -> Self {
        let (store, registry) =
            (Store::default(), || Registry::new().with::<hold>().with::<wait>());
        let queue = Server::builder().start().await;
        queue.create_queue("projects/shop/locations/here", "default");
        let backend = CloudTasks::builder("shop", "here")
            .anonymous()
            .http("http://127.0.0.1:1")
            .endpoint(queue.url());
        let client =
            Client::builder().registry(registry()).payload_store(store.clone()).inline_payload(100);
        let client = client.build_push(backend.build().await.unwrap()).unwrap();
        let world = World::with_client(registry(), |client| client.payload_store(store.clone()));
        Self { world, store, client, queue }
    }

    /// Returns the request of a task with a payload of slightly more than `bytes`.
    async fn request(&self, bytes: usize, attempt: u32) -> Request<Bytes> {
        hold::defer("x".repeat(bytes)).queue("default").on(&self.client).await.unwrap();
        let task = self.queue.tasks("projects/shop/locations/here", "default").pop().unwrap();
        let body = task["httpRequest"]["body"].as_str().unwrap();
        let body =
            base64::Engine::decode(&base64::engine::general_purpose::STANDARD, body).unwrap();
        assert!(body.len() < KIB && self.store.0.lock().unwrap().payloads.len() == 1);
        self.world.request(hold::defer(""), attempt).map(|_| body.into())
    }
}

fn service(
    world: &World,
    settings: impl FnOnce(PushServiceBuilder) -> PushServiceBuilder,
) -> Tower {
    Tower(settings(world.builder()).build().unwrap())
}

fn start(service: &PushService, request: Request<Bytes>) -> JoinHandle<StatusCode> {
    let answer = service.clone().oneshot(request.map(Full::new));
    tokio::spawn(async move { answer.await.unwrap().status() })
}

/// Adds the headers with which Cloud Tasks repeats a refused task.
fn refused_before(mut request: Request<Bytes>) -> Request<Bytes> {
    request.headers_mut().insert("x-cloudtasks-taskpreviousresponse", "503".parse().unwrap());
    request
}

#[tokio::test]
async fn bodies_count_from_before_they_are_read_until_their_attempt_ends() {
    let world = World::with(Registry::new().with::<wait>());
    let service = service(&world, |service| service.memory_budget(2 * KIB));
    let running = [1, 1].map(|attempt| start(&service.0, world.request(wait::defer(), attempt)));
    world.stage.until(|signs| signs.begun == 2).await;
    let (status, headers) = service.send(world.request(wait::defer(), 1)).await;
    assert_eq!(
        (status, headers["retry-after"].as_bytes()),
        (StatusCode::SERVICE_UNAVAILABLE, &b"1"[..])
    );
    // The length is not known, so the largest body may come.
    let (unread, asked) = in_pieces(world.request(wait::defer(), 1), vec![]);
    assert_eq!(
        service.0.clone().oneshot(unread).await.unwrap().status(),
        StatusCode::SERVICE_UNAVAILABLE
    );
    assert_eq!(asked.load(Ordering::SeqCst), 0);
    world.stage.let_pass(3);
    for running in running {
        assert_eq!(running.await.unwrap(), StatusCode::OK);
    }
    assert_eq!(service.send(world.request(wait::defer(), 1)).await.0, StatusCode::OK);
}

/// Says when its bytes are dropped.
struct Watched(Bytes, Arc<AtomicBool>);

impl AsRef<[u8]> for Watched {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        self.1.store(true, Ordering::SeqCst);
    }
}

/// What is counted once is in memory once: the args are read from a copy.
#[tokio::test]
async fn a_body_is_dropped_before_its_handler_runs() {
    let world = World::with(Registry::new().with::<wait>());
    let service = service(&world, |service| service);
    let dropped = Arc::new(AtomicBool::new(false));
    let request = world.request(wait::defer(), 1);
    let request = request.map(|body| Bytes::from_owner(Watched(body, Arc::clone(&dropped))));
    let running = start(&service.0, request);
    world.stage.until(|signs| signs.begun == 1).await;
    assert!(dropped.load(Ordering::SeqCst));
    world.stage.let_pass(1);
    assert_eq!(running.await.unwrap(), StatusCode::OK);
}

#[tokio::test]
async fn a_body_of_unknown_length_counts_as_what_it_was() {
    let world = World::with(Registry::new().with::<wait>());
    let service = service(&world, |service| service.memory_budget(2 * KIB));
    let request = world.request(wait::defer(), 1);
    let whole = vec![Ok(request.body().clone())];
    let (request, _) = in_pieces(request, whole);
    let first = tokio::spawn(service.0.clone().oneshot(request));
    world.stage.until(|signs| signs.begun == 1).await;
    world.stage.let_pass(2);
    assert_eq!(service.send(world.request(wait::defer(), 1)).await.0, StatusCode::OK);
    assert_eq!(first.await.unwrap().unwrap().status(), StatusCode::OK);
}

#[tokio::test]
async fn stored_payloads_count_too() {
    let spilled = Spilled::new().await;
    let world = &spilled.world;
    let service = service(world, |service| service.memory_budget(8 * KIB));
    let large = spilled.request(5 * KIB, 1).await;
    let running = start(&service.0, large.clone());
    world.stage.until(|signs| signs.begun == 1).await;
    assert_eq!(service.send(large.clone()).await.0, StatusCode::SERVICE_UNAVAILABLE);
    world.stage.let_pass(3);
    assert_eq!(
        service.send(world.request(wait::defer(), 1)).await.0,
        StatusCode::OK,
        "there is room for a smaller body"
    );
    assert_eq!(running.await.unwrap(), StatusCode::OK);
}

/// Small tasks keep arriving, so that one is always in progress.
#[tokio::test]
async fn a_task_larger_than_the_budget_is_not_refused_for_ever() {
    let spilled = Spilled::new().await;
    let world = &spilled.world;
    let service = service(world, |service| service.memory_budget(8 * KIB));
    let large = spilled.request(100 * KIB, 1).await;
    let mut small = start(&service.0, world.request(wait::defer(), 1));
    for begun in 1..10 {
        world.stage.until(|signs| signs.begun == begun).await;
        assert_eq!(service.send(large.clone()).await.0, StatusCode::SERVICE_UNAVAILABLE);
        let next = start(&service.0, world.request(wait::defer(), 1));
        world.stage.until(|signs| signs.begun == begun + 1).await;
        world.stage.let_pass(1);
        assert_eq!(std::mem::replace(&mut small, next).await.unwrap(), StatusCode::OK);
    }
    // The large task comes again and waits for the tasks in progress; later tasks do not overtake
    // it.
    let waiting = start(&service.0, refused_before(large));
    // The small task sleeps for its deadline, the large one for its longest wait.
    while world.clock.sleepers() < 2 {
        tokio::task::yield_now().await;
    }
    assert_eq!(
        service.send(world.request(wait::defer(), 1)).await.0,
        StatusCode::SERVICE_UNAVAILABLE
    );
    world.stage.let_pass(2);
    assert_eq!((small.await.unwrap(), waiting.await.unwrap()), (StatusCode::OK, StatusCode::OK));
    assert_eq!(world.stage.signs().ended, 11);
}

#[tokio::test]
async fn a_task_waits_for_room_for_half_of_its_deadline() {
    let spilled = Spilled::new().await;
    let world = &spilled.world;
    let service = service(world, |service| service.memory_budget(8 * KIB));
    let large = refused_before(spilled.request(100 * KIB, 2).await);
    let small = start(&service.0, world.request(wait::defer(), 1));
    world.stage.until(|signs| signs.begun == 1).await;
    let waiting = start(&service.0, large);
    // The small task sleeps for its deadline, the large one for its longest wait.
    while world.clock.sleepers() < 2 {
        tokio::task::yield_now().await;
    }
    world.clock.advance(Duration::from_secs(300));
    assert_eq!(waiting.await.unwrap(), StatusCode::SERVICE_UNAVAILABLE);
    world.stage.let_pass(1);
    assert_eq!(
        (small.await.unwrap(), spilled.store.limits()),
        (StatusCode::OK, vec![]),
        "no payload was loaded"
    );
}

#[tokio::test]
async fn no_more_is_read_than_the_envelope_says() {
    let spilled = Spilled::new().await;
    let service = service(&spilled.world, |service| service);
    let request = spilled.request(5 * KIB, 1).await;
    spilled.world.stage.let_pass(1);
    spilled.store.replace(|_| vec![0; 600 * KIB]);
    assert_eq!(service.send(request).await.0, StatusCode::INTERNAL_SERVER_ERROR);
    assert_eq!(
        (spilled.store.limits(), spilled.world.stage.signs().begun),
        (vec![5 * KIB as u64 + 2], 0)
    );
}

#[tokio::test]
async fn a_payload_above_the_services_limit_is_a_dead_letter_that_says_so() {
    let spilled = Spilled::new().await;
    let service = service(&spilled.world, |service| service.max_stored_payload(5000));
    let request = spilled.request(5 * KIB, 1).await;
    assert_eq!(service.send(request.clone()).await.0, StatusCode::OK);
    let dead = spilled.world.dead_letters().await;
    let error = &dead[0].errors[0].message;
    assert!(error.contains("has 5122 bytes, but at most 5000 are loaded"), "{error}");
    assert!(
        error.contains(".max_stored_payload(..)") && error.contains("memory of a test"),
        "{error}"
    );
    let limits = spilled.store.limits();
    assert!(limits.len() == 1 && limits[0] < 100, "only a marker is read: {limits:?}");
    assert_eq!(spilled.world.stage.signs().begun, 0);
}

#[tokio::test]
async fn a_payload_that_is_not_loaded_needs_no_room() {
    let spilled = Spilled::new().await;
    let world = &spilled.world;
    let service = service(world, |service| service.memory_budget(3 * KIB).max_stored_payload(5000));
    let large = spilled.request(5 * KIB, 1).await;
    let small = start(&service.0, world.request(wait::defer(), 1));
    world.stage.until(|signs| signs.begun == 1).await;
    assert_eq!(service.send(large).await.0, StatusCode::OK);
    assert_eq!(world.dead_letters().await.len(), 1);
    world.stage.let_pass(1);
    assert_eq!(small.await.unwrap(), StatusCode::OK);
}

/// Another instance with a higher limit has run the task, and its response was lost.
#[tokio::test]
async fn a_marker_counts_whatever_the_limit_is() {
    let spilled = Spilled::new().await;
    let service = service(&spilled.world, |service| service.max_stored_payload(5000));
    let request = spilled.request(5 * KIB, 2).await;
    spilled.store.replace(|key| format!("gae-tasks: done: {key}\n").into_bytes());
    assert_eq!(service.send(request).await.0, StatusCode::OK);
    assert_eq!(spilled.world.dead_letters().await, []);
}
