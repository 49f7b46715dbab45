//! The program under test: its tasks, its service on a socket, and the queue that calls the
//! service.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::extract::{Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;
use gae_tasks::backend::cloud_tasks::{CloudTasks, CloudTasksBuilder};
use gae_tasks::backend::memory::Memory;
use gae_tasks::push::verify::AppEngine;
use gae_tasks::push::{LetterStore, PushService, is_from_task_queue};
use gae_tasks::testing::Faulty;
use gae_tasks::{
    Client, ClientBuilder, PermanentTaskFailure, PushServiceBuilder, QueueConfig, Registry,
    RetryConfig, TaskContext, TaskFailure, TaskFilter, TaskRecord, TaskState, deferred,
};
use gae_tasks_tests_push::issuer::{ACCOUNT, AUDIENCE, Key, Published, claims, oidc};
use gae_tasks_tests_push::server::{Delivery, Server, ServerBuilder};
use http::HeaderMap;
use tokio::net::TcpListener;

pub(crate) const PLACE: &str = "projects/shop/locations/europe-west1";

/// An attempt as seen by a handler.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) text: String,
    pub(crate) attempt: u32,
    pub(crate) name: Option<String>,
    pub(crate) traceparent: Option<String>,
    pub(crate) deadline: Duration,
}

/// The attempts seen by the handlers, in order.
pub(crate) type Book = Arc<Mutex<Vec<Seen>>>;

fn note(book: &Book, text: &str, cx: &TaskContext) {
    let name = cx.name().map(ToString::to_string);
    let traceparent = cx.traceparent().map(ToOwned::to_owned);
    let (text, attempt, deadline) = (text.to_owned(), cx.attempt(), cx.deadline());
    book.lock().unwrap().push(Seen { text, attempt, name, traceparent, deadline });
}

/// Succeeds.
#[deferred(name = "shop/note", queue = "emails", deadline = "20m")]
pub(crate) async fn write(text: String, #[state] book: &Book, #[context] cx: &TaskContext) {
    note(book, &text, cx);
}

/// Succeeds from the given attempt on.
#[deferred(name = "shop/flaky", queue = "emails")]
pub(crate) async fn flaky(
    works_at: u32,
    text: String,
    #[state] book: &Book,
    #[context] cx: &TaskContext,
) -> anyhow::Result<()> {
    note(book, &text, cx);
    anyhow::ensure!(cx.attempt() >= works_at, "not yet");
    Ok(())
}

/// Succeeds from the given attempt on; before, asks for a retry after the given seconds.
#[deferred(name = "shop/later", queue = "emails")]
pub(crate) async fn later(
    seconds: u64,
    works_at: u32,
    text: String,
    #[state] book: &Book,
    #[context] cx: &TaskContext,
) -> Result<(), TaskFailure> {
    note(book, &text, cx);
    let pause = TaskFailure::retry_after(Duration::from_secs(seconds)).because("busy");
    if cx.attempt() >= works_at { Ok(()) } else { Err(pause) }
}

/// Fails permanently.
#[deferred(name = "shop/refuse", queue = "emails")]
pub(crate) async fn refuse(
    text: String,
    #[state] book: &Book,
    #[context] cx: &TaskContext,
) -> anyhow::Result<()> {
    note(book, &text, cx);
    Err(PermanentTaskFailure::new("no such order").into())
}

/// Defers further tasks with the client of its scope.
#[deferred(name = "shop/fan-out", queue = "emails")]
pub(crate) async fn fan_out(count: u32) -> Result<(), gae_tasks::Error> {
    for number in 0..count {
        write::defer(format!("leaf {number}")).await?;
    }
    Ok(())
}

fn program(book: &Book) -> ClientBuilder {
    let tasks = Registry::new()
        .with::<write>()
        .with::<flaky>()
        .with::<refuse>()
        .with::<fan_out>()
        .with::<later>();
    Client::builder().registry(tasks).state(Arc::clone(book))
}

/// A program whose tasks come back to it over HTTP.
pub(crate) struct Shop {
    pub(crate) queue: Server,
    pub(crate) tasks: Client,
    pub(crate) book: Book,
    /// The client of the dead letters.
    pub(crate) cemetery: Client,
    middleware: Middleware,
}

/// The requests seen by the middleware, each with whether the queue was verified.
type Middleware = Arc<Mutex<Vec<(HeaderMap, bool)>>>;

async fn watch(State(seen): State<Middleware>, request: Request, next: Next) -> Response {
    let headers = request.headers().clone();
    let response = next.run(request).await;
    seen.lock().unwrap().push((headers, is_from_task_queue(response.extensions())));
    response
}

/// The parts of a [`Shop`] that tests choose.
pub(crate) struct ShopSettings {
    pub(crate) server: ServerBuilder,
    pub(crate) backend: fn(CloudTasksBuilder) -> CloudTasksBuilder,
    /// Configures the shop's client and the cemetery's.
    pub(crate) client: Box<dyn Fn(ClientBuilder) -> ClientBuilder>,
    pub(crate) service: fn(PushServiceBuilder) -> PushServiceBuilder,
    /// The backend that keeps dead letters.
    pub(crate) storage: Faulty<Memory>,
    /// Whether queues at Google keep the dead letters instead.
    pub(crate) letters_at_google: bool,
    /// The payload store that keeps the dead letters instead.
    pub(crate) letters: Option<LetterStore>,
}

impl ShopSettings {
    /// Returns settings with an HTTP target: the queue signs its requests, and the service verifies
    /// the tokens.
    pub(crate) fn http() -> Self {
        let sign = |audience: &str, email: &str| {
            let mut claims = claims(gae_tasks::Clock::wall(&gae_tasks::SystemClock));
            (claims["aud"], claims["email"]) = (audience.into(), email.into());
            Key::one().token(&claims)
        };
        Self {
            server: Server::builder().sign(sign),
            backend: |backend| backend.service_account(ACCOUNT).audience(AUDIENCE),
            client: Box::new(|client| client),
            service: |service| {
                service.verify(oidc(Published::keys(&[Key::one()])).build().unwrap())
            },
            storage: Faulty::new(Memory::new()),
            letters_at_google: false,
            letters: None,
        }
    }

    /// Returns settings of the service `default` of App Engine, with the background service
    /// `worker`.
    pub(crate) fn app_engine() -> Self {
        Self {
            server: Server::builder(),
            backend: |_| {
                let backend = CloudTasks::builder("shop", "europe-west1").anonymous().app_engine();
                backend.background_service("worker").deferring_from("default", "v7")
            },
            service: |service| service.verify(AppEngine::assume_headers_are_stripped()),
            ..Self::http()
        }
    }
}

impl Shop {
    pub(crate) async fn open(plan: ShopSettings) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        // For App Engine: tasks for either service come here.
        let server = plan.server.service("default", &url).service("worker", &url);
        let queue = server.dispatching().start().await;
        queue.create_queue(PLACE, "emails");
        let backend =
            (plan.backend)(CloudTasks::builder("shop", "europe-west1").anonymous().http(url));
        let backend = if plan.letters_at_google { backend.dead_letter_queues() } else { backend };
        let backend = backend.endpoint(queue.url()).build().await.unwrap();
        let book = Book::default();
        let tasks = (plan.client)(program(&book)).build_push(backend).unwrap();
        let retry = RetryConfig::new()
            .with_min_backoff(Duration::from_millis(1))
            .with_max_backoff(Duration::from_millis(1));
        tasks.put_queue("emails", QueueConfig::new().with_retry(retry)).await.unwrap();
        let storage = plan.storage;
        let cemetery = match plan.letters_at_google {
            true => tasks.clone(),
            false => (plan.client)(program(&book)).build(storage.clone()).unwrap(),
        };
        let service = match &plan.letters {
            Some(letters) => tasks.push_service().dead_letters_in(letters),
            None => tasks.push_service().dead_letters(&cemetery),
        };
        let service = (plan.service)(service).nested().build().unwrap();
        let middleware = serve(listener, service);
        Self { queue, tasks, book, cemetery, middleware }
    }

    /// Waits until `count` attempts have ended, and returns them.
    pub(crate) async fn deliveries(&self, count: usize) -> Vec<Delivery> {
        self.queue.deliveries(count).await
    }

    /// Waits until `count` attempts have ended, and returns their statuses.
    pub(crate) async fn statuses(&self, count: usize) -> Vec<u16> {
        self.deliveries(count)
            .await
            .iter()
            .map(|delivery| delivery.status.unwrap_or_default())
            .collect()
    }

    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.book.lock().unwrap().clone()
    }

    /// Returns the requests seen by the middleware: their headers, and whether the queue was
    /// verified.
    pub(crate) fn requests(&self) -> Vec<(HeaderMap, bool)> {
        self.middleware.lock().unwrap().clone()
    }

    pub(crate) fn waiting(&self) -> usize {
        self.queue.tasks(PLACE, "emails").len()
    }

    pub(crate) async fn dead_letters(&self) -> Vec<TaskRecord> {
        let dead = TaskFilter::new().state(TaskState::Dead);
        self.cemetery.list(dead, None, 100).with_payloads().await.unwrap()
    }
}

fn serve(listener: TcpListener, service: PushService) -> Middleware {
    let seen = Middleware::default();
    let router = Router::new().nest_service("/_cb/deferred", service);
    let router = router.layer(from_fn_with_state(Arc::clone(&seen), watch));
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    seen
}
