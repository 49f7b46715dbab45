//! The stage of the tests: tasks that end as a test wants, a verifier, and a service with its dead
//! letters.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use gae_tasks::backend::BoxFuture;
use gae_tasks::backend::memory::Memory;
use gae_tasks::push::PushService;
use gae_tasks::push::verify::{Refused, Verified, Verify};
use gae_tasks::testing::{Faulty, ManualClock};
use gae_tasks::{
    Client, ClientBuilder, Defer, PermanentTaskFailure, Registry, SingularTaskFailure, TaskFailure,
    TaskFilter, TaskRecord, deferred,
};
use http::Request;
use http::request::Parts;
use tokio::sync::{Semaphore, watch};

/// The real time for which a test waits for events that need no time to pass on its clock.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// The value of the header `x-secret` in an authentic request.
pub(crate) const SECRET: &str = "open-sesame";

/// Counts of what tasks have done so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Signs {
    pub(crate) begun: usize,
    pub(crate) ended: usize,
    /// The async handlers dropped before their end.
    pub(crate) dropped: usize,
    /// The plain functions that noticed their cancellation.
    pub(crate) cancelled: usize,
}

/// The state of one test's tasks.
#[derive(Debug, Clone)]
pub(crate) struct Stage {
    signs: Arc<watch::Sender<Signs>>,
    gate: Arc<Semaphore>,
}

impl Stage {
    fn new() -> Self {
        Self { signs: Arc::default(), gate: Arc::new(Semaphore::new(0)) }
    }

    pub(crate) fn signs(&self) -> Signs {
        *self.signs.borrow()
    }

    pub(crate) fn let_pass(&self, attempts: usize) {
        self.gate.add_permits(attempts);
    }

    pub(crate) async fn until(&self, holds: impl FnMut(&Signs) -> bool) {
        let mut signs = self.signs.subscribe();
        let waited = tokio::time::timeout(PATIENCE, signs.wait_for(holds)).await;
        assert!(waited.is_ok(), "the awaited event did not happen: {:?}", self.signs());
    }
}

/// Counts a handler as dropped unless it ends.
struct Handler<'a>(&'a Stage);

impl<'a> Handler<'a> {
    fn begin(stage: &'a Stage) -> Self {
        stage.signs.send_modify(|signs| signs.begun += 1);
        Self(stage)
    }

    fn end(self) {
        self.0.signs.send_modify(|signs| signs.ended += 1);
        std::mem::forget(self);
    }
}

impl Drop for Handler<'_> {
    fn drop(&mut self) {
        self.0.signs.send_modify(|signs| signs.dropped += 1);
    }
}

/// Ends as its argument says.
#[deferred(name = "shop.orders/end")]
pub(crate) async fn end(how: String, #[state] stage: &Stage) -> anyhow::Result<()> {
    Handler::begin(stage).end();
    match how.as_str() {
        "done" => Ok(()),
        "permanent" => Err(PermanentTaskFailure::new("no such order").into()),
        "singular" => Err(SingularTaskFailure::new("not yet").into()),
        "later" => {
            Err(TaskFailure::retry_after(Duration::from_millis(89_500)).because("busy").into())
        }
        "panic" => panic!("the order is broken"),
        other => anyhow::bail!("cannot {other}"),
    }
}

/// Runs until it is dropped.
#[deferred(name = "shop.orders/hang")]
pub(crate) async fn hang(#[state] stage: &Stage) {
    let _handler = Handler::begin(stage);
    std::future::pending::<()>().await;
}

/// Runs until the test lets it end.
#[deferred(name = "shop.orders/wait")]
pub(crate) async fn wait(#[state] stage: &Stage) {
    let handler = Handler::begin(stage);
    stage.gate.acquire().await.unwrap().forget();
    handler.end();
}

/// Like [`wait`], with a payload of any size.
#[deferred(name = "shop.orders/hold")]
pub(crate) async fn hold(text: String, #[state] stage: &Stage) {
    let handler = Handler::begin(stage);
    stage.gate.acquire().await.unwrap().forget();
    handler.end();
    drop(text);
}

/// A plain function that ends when it is cancelled and the test lets it end.
#[deferred(name = "shop.orders/plain")]
pub(crate) fn plain(#[state] stage: &Stage, #[context] cx: &gae_tasks::TaskContext) {
    let handler = Handler::begin(stage);
    let rest = tokio::runtime::Handle::current();
    rest.block_on(cx.cancelled());
    stage.signs.send_modify(|signs| signs.cancelled += 1);
    rest.block_on(stage.gate.acquire()).unwrap().forget();
    handler.end();
}

/// Accepts requests with the secret.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Secret;

impl Verify for Secret {
    fn verify<'a>(&'a self, request: &'a Parts) -> BoxFuture<'a, Result<Verified, Refused>> {
        let given = request.headers.get("x-secret").map(|value| value.as_bytes());
        assert_ne!(given, Some(&b"panic"[..]), "the verifier is broken");
        let is_known = given == Some(SECRET.as_bytes());
        let answer = if is_known {
            Ok(Verified::new("secret"))
        } else {
            Err(Refused::new("the secret is wrong"))
        };
        Box::pin(std::future::ready(answer))
    }
}

/// A client of the tasks under test, on a clock that stands still, and a backend for its dead
/// letters.
pub(crate) struct World {
    pub(crate) stage: Stage,
    pub(crate) clock: ManualClock,
    pub(crate) client: Client,
    pub(crate) storage: Faulty<Memory>,
    pub(crate) cemetery: Client,
}

impl World {
    pub(crate) fn new() -> Self {
        let registry = Registry::new().with::<end>().with::<hang>().with::<wait>().with::<plain>();
        Self::with(registry)
    }

    pub(crate) fn with(registry: Registry) -> Self {
        Self::with_client(registry, |client| client)
    }

    /// Returns a world with more settings of the client.
    pub(crate) fn with_client(
        registry: Registry,
        settings: impl FnOnce(ClientBuilder) -> ClientBuilder,
    ) -> Self {
        let (stage, clock) = (Stage::new(), ManualClock::at(std::time::SystemTime::now().into()));
        let client = Client::builder().state(stage.clone()).registry(registry).clock(clock.clone());
        let client = settings(client).build(Memory::new()).unwrap();
        let storage = Faulty::new(Memory::new());
        let cemetery = Client::builder().clock(clock.clone()).build(storage.clone()).unwrap();
        Self { stage, clock, client, storage, cemetery }
    }

    pub(crate) fn builder(&self) -> gae_tasks::PushServiceBuilder {
        self.client.push_service().verify(Secret).dead_letters(&self.cemetery)
    }

    pub(crate) fn service(&self) -> PushService {
        self.builder().build().unwrap()
    }

    /// Returns the request of an attempt, from an authentic caller.
    pub(crate) fn request(&self, task: Defer, attempt: u32) -> Request<Bytes> {
        let mut request = self.client.push_request(task, attempt).unwrap();
        request.headers_mut().insert("x-secret", SECRET.parse().unwrap());
        request
    }

    pub(crate) async fn dead_letters(&self) -> Vec<TaskRecord> {
        self.cemetery.list(TaskFilter::new(), None, 100).with_payloads().await.unwrap()
    }
}
