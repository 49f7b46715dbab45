//! The tests' server calls handlers as the real service does.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::response::IntoResponse;
use gae_tasks::{QueueConfig, RetryConfig, TaskState};
use gae_tasks_tests_push::server::ServerBuilder;
use http::{HeaderMap, StatusCode, Uri};

use super::*;

/// A request received by the handler.
type Seen = (Uri, HeaderMap, bytes::Bytes);

/// A handler that responds with statuses in turn and records the requests.
pub(super) struct Handler {
    url: String,
    statuses: Arc<Mutex<VecDeque<u16>>>,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl Handler {
    /// The statuses in turn; the last one is repeated, and 0 is no response.
    pub(super) async fn answering(statuses: &[u16]) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let statuses: Arc<Mutex<VecDeque<u16>>> =
            Arc::new(Mutex::new(statuses.iter().copied().collect()));
        let seen = Arc::default();
        let state = (Arc::clone(&statuses), Arc::clone(&seen));
        let router = Router::new().fallback(handle).with_state(state);
        tokio::spawn(async { axum::serve(listener, router).await.unwrap() });
        Self { url, statuses, seen }
    }

    pub(super) fn url(&self) -> &str {
        &self.url
    }

    fn headers(&self) -> Vec<HeaderMap> {
        self.seen.lock().unwrap().iter().map(|(_, headers, _)| headers.clone()).collect()
    }
}

type Shared = (Arc<Mutex<VecDeque<u16>>>, Arc<Mutex<Vec<Seen>>>);

async fn handle(
    State((statuses, seen)): State<Shared>,
    uri: Uri,
    headers: HeaderMap,
    body: bytes::Bytes,
) -> impl IntoResponse {
    seen.lock().unwrap().push((uri, headers, body));
    let status = {
        let mut statuses = statuses.lock().unwrap();
        if statuses.len() > 1 { statuses.pop_front().unwrap() } else { statuses[0] }
    };
    if status == 0 {
        std::panic::resume_unwind(Box::new("no answer"));
    }
    StatusCode::from_u16(status).unwrap()
}

async fn dispatching(builder: ServerBuilder) -> Server {
    let server = builder.dispatching().start().await;
    server.create_queue(PLACE, "emails");
    server
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).map(|value| value.to_str().unwrap())
}

async fn quick(tasks: &Client) {
    let retry = RetryConfig::new()
        .with_min_backoff(Duration::from_millis(1))
        .with_max_backoff(Duration::from_millis(1));
    tasks.put_queue("emails", QueueConfig::new().with_retry(retry)).await.unwrap();
}

#[tokio::test]
async fn a_task_is_pushed_to_its_url_and_gone() {
    let (server, handler) =
        (dispatching(Server::builder()).await, Handler::answering(&[200]).await);
    let tasks = client_of(builder(&server).http(handler.url()).header("X-Shop", "7")).await;
    let id = greet::defer("you").named("once").on(&tasks).await.unwrap().id;
    let deliveries = server.deliveries(1).await;
    assert_eq!((deliveries[0].task.as_str(), deliveries[0].status), ("once", Some(200)));
    let (uri, headers, body) = handler.seen.lock().unwrap()[0].clone();
    assert_eq!(uri.path(), "/_cb/deferred/shop/greet");
    assert!(body.starts_with(b"gt\x03"), "the envelope, with its schema");
    for (name, value) in [
        ("user-agent", "Google-Cloud-Tasks"),
        ("content-type", "application/octet-stream"),
        ("x-shop", "7"),
        ("x-cloudtasks-queuename", "emails"),
        ("x-cloudtasks-taskname", "once"),
        ("x-cloudtasks-taskretrycount", "0"),
        ("x-cloudtasks-taskexecutioncount", "0"),
    ] {
        assert_eq!(text(&headers, name), Some(value), "{name}");
    }
    assert!(text(&headers, "x-cloudtasks-tasketa").unwrap().contains('.'));
    assert_eq!(text(&headers, "x-cloudtasks-taskpreviousresponse"), None);
    assert!(tasks.get(id).await.unwrap().is_none());
}

#[tokio::test]
async fn retries_to_a_url_tell_of_the_attempt_before_as_google_does() {
    let (server, handler) =
        (dispatching(Server::builder()).await, Handler::answering(&[500, 404, 0, 200]).await);
    let tasks = client_of(builder(&server).http(handler.url())).await;
    quick(&tasks).await;
    greet::defer("you").on(&tasks).await.unwrap();
    server.deliveries(4).await;
    let told: Vec<_> =
        handler.headers().iter().map(|headers| told(headers, "x-cloudtasks-")).collect();
    let line = |retry, executions, previous: Option<&str>, reason: Option<&str>| {
        (retry, executions, previous.map(ToOwned::to_owned), reason.map(ToOwned::to_owned))
    };
    let expected = [
        line(0, 0, None, None),
        line(1, 0, Some("500"), Some("")),
        line(2, 1, Some("404"), Some("")),
        line(3, 1, Some("504"), Some("")),
    ];
    assert_eq!(told, expected);
}

#[tokio::test]
async fn retries_to_app_engine_tell_of_the_attempt_before_as_google_does() {
    let handler = Handler::answering(&[503, 404, 0, 200]).await;
    let server = dispatching(Server::builder().service("worker", handler.url())).await;
    let app = CloudTasks::builder("shop", "europe-west1").endpoint(server.url()).anonymous();
    let tasks = client_of(app.background_service("worker").deferring_from("default", "v7")).await;
    quick(&tasks).await;
    greet::defer("you").on(&tasks).await.unwrap();
    server.deliveries(4).await;
    let headers = handler.headers();
    assert!(text(&headers[0], "user-agent").unwrap().starts_with("AppEngine-Google"));
    let told: Vec<_> = headers.iter().map(|headers| told(headers, "x-appengine-")).collect();
    let line = |retry, executions, previous: &str, reason: &str| {
        (retry, executions, Some(previous.to_owned()), Some(reason.to_owned()))
    };
    assert_eq!(told[0], (0, 0, None, None));
    assert_eq!(told[1], line(1, 1, "503", "App Error"));
    assert_eq!(told[2], line(2, 2, "404", "App Error"));
    assert_eq!(told[3], line(3, 2, "0", "Instance Unavailable"));
}

/// Retry count, execution count, previous response, retry reason.
fn told(headers: &HeaderMap, prefix: &str) -> (u32, u32, Option<String>, Option<String>) {
    let get = |name: &str| text(headers, &format!("{prefix}{name}")).map(ToOwned::to_owned);
    let number = |name: &str| get(name).unwrap().parse().unwrap();
    let (previous, reason) = (get("taskpreviousresponse"), get("taskretryreason"));
    (number("taskretrycount"), number("taskexecutioncount"), previous, reason)
}

#[tokio::test]
async fn a_request_carries_the_token_of_its_service_account() {
    let handler = Handler::answering(&[200]).await;
    let sign = |audience: &str, email: &str| format!("{email}.for.{audience}");
    let server = dispatching(Server::builder().sign(sign)).await;
    let account =
        builder(&server).http(handler.url()).service_account("q@shop").audience("https://w");
    greet::defer("you").on(&client_of(account).await).await.unwrap();
    server.deliveries(1).await;
    assert_eq!(text(&handler.headers()[0], "authorization"), Some("Bearer q@shop.for.https://w"));
}

#[tokio::test]
async fn a_failed_task_waits_and_shows_its_last_error() {
    let (server, handler) =
        (dispatching(Server::builder()).await, Handler::answering(&[500]).await);
    let tasks = client_of(builder(&server).http(handler.url())).await;
    let retry =
        RetryConfig::new().with_min_backoff(Duration::from_secs(60)).with_max_attempts(Some(2));
    tasks.put_queue("emails", QueueConfig::new().with_retry(retry)).await.unwrap();
    let id = greet::defer("you").on(&tasks).await.unwrap().id;
    server.deliveries(1).await;
    let record = tasks.get(id).await.unwrap().unwrap();
    assert_eq!((record.attempts, record.state), (1, TaskState::Scheduled));
    assert!(record.errors[0].message.contains("500"), "{:?}", record.errors);
    let ahead = record.schedule_time.since(record.first_attempt.unwrap());
    assert!(ahead >= Duration::from_secs(60) && ahead < Duration::from_secs(70), "{ahead:?}");
    // The queue never drops the task, whatever limit its configuration named: the handler enforces
    // the limit.
    for count in 2..=4 {
        server.advance(Duration::from_secs(3600));
        assert_eq!(server.deliveries(count).await.len(), count);
    }
    assert!(tasks.get(id).await.unwrap().is_some());
}

#[tokio::test]
async fn a_queue_with_limits_of_its_own_gives_up() {
    let (server, handler) =
        (dispatching(Server::builder()).await, Handler::answering(&[500]).await);
    let url = format!("{}/v2/{PLACE}/queues/emails?updateMask=retry_config", server.url());
    let body = r#"{"retryConfig":{"maxAttempts":2,"minBackoff":"0.001s"}}"#;
    reqwest::Client::new().patch(url).body(body).send().await.unwrap().error_for_status().unwrap();
    let tasks = client_of(builder(&server).http(handler.url())).await;
    let id = greet::defer("you").on(&tasks).await.unwrap().id;
    assert_eq!(server.deliveries(2).await.len(), 2);
    assert!(tasks.get(id).await.unwrap().is_none());
}

#[tokio::test]
async fn a_paused_queue_dispatches_only_what_is_run_by_hand() {
    let (server, handler) =
        (dispatching(Server::builder()).await, Handler::answering(&[200]).await);
    let tasks = client_of(builder(&server).http(handler.url())).await;
    tasks.pause("emails").await.unwrap();
    let id = greet::defer("by hand").on(&tasks).await.unwrap().id;
    greet::defer("waits").on(&tasks).await.unwrap();
    tasks.run_now(id).await.unwrap();
    server.deliveries(1).await;
    assert_eq!(tasks.stats().await.unwrap().due, 1);
    tasks.resume("emails").await.unwrap();
    assert_eq!(server.deliveries(2).await.len(), 2);
}

#[tokio::test]
async fn what_is_due_later_is_pushed_later() {
    let (server, handler) =
        (dispatching(Server::builder()).await, Handler::answering(&[200]).await);
    let tasks = client_of(builder(&server).http(handler.url())).await;
    greet::defer("later").named("later").after(Duration::from_secs(3600)).on(&tasks).await.unwrap();
    greet::defer("now").named("now").on(&tasks).await.unwrap();
    assert_eq!(server.deliveries(1).await[0].task, "now");
    server.advance(Duration::from_secs(3601));
    assert_eq!(server.deliveries(2).await[1].task, "later");
}

#[tokio::test]
async fn the_handler_may_take_its_time_to_appear() {
    // An attempt without a running handler fails like any other.
    let (server, handler) =
        (dispatching(Server::builder()).await, Handler::answering(&[0, 0, 200]).await);
    let tasks = client_of(builder(&server).http(handler.url())).await;
    quick(&tasks).await;
    greet::defer("you").on(&tasks).await.unwrap();
    let statuses: Vec<_> =
        server.deliveries(3).await.iter().map(|delivery| delivery.status).collect();
    assert_eq!(statuses, [None, None, Some(200)]);
    assert_eq!(handler.statuses.lock().unwrap().len(), 1);
}
