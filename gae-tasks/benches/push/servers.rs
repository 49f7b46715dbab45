//! The compared servers, each on its own thread and runtime.

use std::net::SocketAddr;
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::http::StatusCode;
use axum::routing::post;
use gae_tasks::push::PushService;
use gae_tasks::push::verify::SharedSecret;
use gae_tasks::{Client, PushServiceBuilder, RetryConfig, deferred};
use serde::Deserialize;
use tokio::sync::oneshot;

use crate::thread::Thread;

const SECRET: &str = "a-secret-that-is-forty-characters-long-x";

/// The task of the benchmark, which does nothing.
#[deferred(name = "shop.emails/send_welcome", queue = "emails")]
async fn send_welcome(user_id: u64, to: String, subject: String) {
    std::hint::black_box((user_id, to, subject));
}

#[derive(Clone, Copy)]
pub(crate) enum Server {
    /// An axum handler that only decodes the body.
    Bare,
    /// The same handler under `nest_service`, which strips the prefix.
    BareNested,
    /// The service under `nest_service`.
    Nested,
    /// The service under `route_service`.
    Routed,
}

pub(crate) struct Running {
    pub(crate) address: SocketAddr,
    pub(crate) thread: Thread,
    /// Returns the bytes of the request sent to the server.
    pub(crate) request: Vec<u8>,
    stop: oneshot::Sender<()>,
    ended: JoinHandle<()>,
}

impl Running {
    pub(crate) fn stop(self) {
        _ = self.stop.send(());
        self.ended.join().unwrap();
    }
}

impl Server {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Bare => "bare handler, routed",
            Self::BareNested => "bare handler, nested",
            Self::Nested => "push, nested",
            Self::Routed => "push, routed",
        }
    }

    pub(crate) fn start(self) -> Running {
        let (started, start) = mpsc::channel();
        let (stop, stopped) = oneshot::channel();
        let ended = std::thread::Builder::new()
            .name(self.name().to_owned())
            .spawn(move || {
                let thread = Thread::current().pin(0);
                let runtime =
                    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
                runtime.block_on(async {
                    let client = Client::open("memory:").await.unwrap();
                    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
                    started
                        .send((listener.local_addr().unwrap(), thread, request(&client)))
                        .unwrap();
                    let router = self.router(&client);
                    tokio::select! {
                        served = async { axum::serve(listener, router).await } => served.unwrap(),
                        _ = stopped => {}
                    }
                });
            })
            .unwrap();
        let (address, thread, request) = start.recv().unwrap();
        Running { address, thread, request, stop, ended }
    }

    fn router(self, client: &Client) -> Router {
        match self {
            Self::Bare => Router::new().route("/_cb/deferred/{*kind}", post(bare)),
            Self::BareNested => Router::new().nest_service("/_cb/deferred", post(bare)),
            Self::Nested => Router::new().nest_service("/_cb/deferred", nested(client)),
            Self::Routed => Router::new().route_service("/_cb/deferred/{*kind}", service(client)),
        }
    }
}

pub(crate) fn service(client: &Client) -> PushService {
    builder(client).build().unwrap()
}

/// Returns the service for a router that strips the prefix.
pub(crate) fn nested(client: &Client) -> PushService {
    builder(client).nested().build().unwrap()
}

fn builder(client: &Client) -> PushServiceBuilder {
    client.push_service().verify(SharedSecret::new(SECRET).unwrap()).log_dead_letters()
}

/// Returns a request as sent by Cloud Tasks.
pub(crate) fn push_request(client: &Client) -> http::Request<Bytes> {
    let task = send_welcome::defer(
        42,
        "someone@mail.example.org",
        "a subject that is forty characters long",
    );
    let mut request = client.push_request(task, 1).unwrap();
    request.headers_mut().insert(SharedSecret::HEADER, SECRET.parse().unwrap());
    request
}

/// Returns the request as bytes.
pub(crate) fn request(client: &Client) -> Vec<u8> {
    let request = push_request(client);
    let mut text = format!("POST {} HTTP/1.1\r\nhost: shop.example.org\r\n", request.uri());
    for (name, value) in request.headers() {
        text.push_str(&format!("{name}: {}\r\n", value.to_str().unwrap()));
    }
    text.push_str(&format!("content-length: {}\r\n\r\n", request.body().len()));
    [text.as_bytes(), request.body()].concat()
}

/// The part of the body between its preamble (magic, version, id, first due time) and the payload.
#[derive(Deserialize)]
#[allow(dead_code)] // The fields are decoded, as in the service, and not used.
struct Head<'a> {
    schema: &'a [u8],
    sensitive: Vec<&'a str>,
    copied: Option<(u32, u32, Option<i64>, Option<i64>)>,
    kind: &'a str,
    shape: u64,
    queue: &'a str,
    named: bool,
    max_attempts: Option<u32>,
    retry: Option<RetryConfig>,
    deadline: Option<Duration>,
    attributes: Option<&'a [u8]>,
    payload: usize,
}

pub(crate) async fn bare(body: Bytes) -> StatusCode {
    let Ok((head, payload)) = postcard::take_from_bytes::<Head<'_>>(&body[27..]) else {
        return StatusCode::BAD_REQUEST;
    };
    std::hint::black_box(head);
    match postcard::from_bytes::<(u64, String, String)>(payload) {
        Ok((user_id, to, subject)) => {
            send_welcome(user_id, to, subject).await;
            StatusCode::OK
        }
        Err(_) => StatusCode::BAD_REQUEST,
    }
}
