//! Fuzzes the body of a pushed task: the first byte is the number of retries so far, the others are
//! the body.

use std::cell::Cell;
use std::io::Cursor;
use std::panic;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Once};

use gae_tasks::backend::BoxFuture;
use gae_tasks::backend::memory::Memory;
use gae_tasks::push::PushService;
use gae_tasks::push::verify::{Refused, Verified, Verify};
use gae_tasks::{Client, Json, Registry, deferred};
use http::request::Parts;
use http::{Request, StatusCode};
use http_body_util::Full;
use tower_service::Service;

#[deferred(name = "fuzzed/greet", max_attempts = 3)]
async fn greet(
    _name: String,
    _times: Option<u32>,
    _notes: Json<serde_json::Value>,
    #[state] runs: &Runs,
) {
    runs.fetch_add(1, Ordering::Relaxed);
}

/// The number of times that the function has run.
type Runs = Arc<AtomicU32>;

/// Accepts every request, because the target is the code behind the verifier.
#[derive(Debug)]
struct Anybody;

impl Verify for Anybody {
    fn verify<'a>(&'a self, _request: &'a Parts) -> BoxFuture<'a, Result<Verified, Refused>> {
        Box::pin(std::future::ready(Ok(Verified::new("nobody"))))
    }
}

thread_local! {
    /// Whether this thread panicked: the service turns panics into a status.
    static PANICKED: Cell<bool> = const { Cell::new(false) };
}

pub(super) fn check(bytes: &[u8]) {
    let Some((retries, body)) = bytes.split_first() else { return };
    notice_panics();
    PANICKED.set(false);
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
    let (status, runs) = runtime.block_on(answer(*retries, body));
    assert!(!PANICKED.get(), "the service panicked");
    match runs {
        // A task that ended without running was buried: it was unreadable, or had no attempts left.
        0 => assert!([200, 404, 500].contains(&status.as_u16()), "{status}"),
        _ => assert_eq!((status, runs), (StatusCode::OK, 1)),
    }
}

/// Notes panics, and calls the previous panic hook.
fn notice_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |what| {
            PANICKED.set(true);
            before(what);
        }));
    });
}

async fn answer(retries: u8, body: &[u8]) -> (StatusCode, u32) {
    let runs = Runs::default();
    let request = Request::post("/_cb/deferred/fuzzed/greet")
        .header("x-cloudtasks-queuename", "default")
        .header("x-cloudtasks-taskname", "any")
        .header("x-cloudtasks-taskretrycount", u32::from(retries))
        .body(Full::new(Cursor::new(body.to_vec())))
        .expect("a request");
    let Ok(response) = service(&runs).call(request).await;
    (response.status(), runs.load(Ordering::Relaxed))
}

fn service(runs: &Runs) -> PushService {
    let client =
        Client::builder().registry(Registry::new().with::<greet>()).state(Arc::clone(runs));
    let client = client.build(Memory::new()).expect("a client");
    client.push_service().verify(Anybody).log_dead_letters().build().expect("a service")
}
