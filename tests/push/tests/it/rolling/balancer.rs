//! Passes on the requests of a queue to whichever instances live, each to a random one: one after
//! the other, two tasks that are retried at the same pace would each meet the same instance every
//! time.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri, header};
use gae_tasks::push::verify::SharedSecret;
use gae_tasks_tests_push::rolling::SECRET;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

/// The live instances, with the ids of their processes.
#[derive(Debug, Clone, Default)]
pub(super) struct Instances(Arc<Mutex<Vec<(u32, String)>>>);

impl Instances {
    pub(super) fn add(&self, process: u32, url: String) {
        self.0.lock().unwrap().push((process, url));
    }

    pub(super) fn remove(&self, process: u32) {
        self.0.lock().unwrap().retain(|(id, _)| *id != process);
    }

    fn nth(&self, number: u64) -> Option<String> {
        let instances = self.0.lock().unwrap();
        let place = number.checked_rem(instances.len() as u64)?;
        let (_, url) = instances.get(usize::try_from(place).ok()?)?;
        Some(url.clone())
    }
}

/// A server that runs until it is dropped.
#[derive(Debug)]
pub(super) struct Balancer {
    pub(super) url: String,
    pub(super) instances: Instances,
    _running: JoinSet<()>,
}

#[derive(Debug, Clone)]
struct Passing {
    instances: Instances,
    turns: Arc<AtomicUsize>,
    http: reqwest::Client,
}

impl Balancer {
    pub(super) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        let instances = Instances::default();
        let passing = Passing { instances: instances.clone(), turns: Arc::default(), http };
        let router = Router::new().fallback(pass).with_state(passing);
        let mut running = JoinSet::new();
        running.spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { url, instances, _running: running }
    }
}

/// Passes on a request; without an instance, or if it is killed meanwhile, the answer is 502.
async fn pass(
    State(passing): State<Passing>,
    uri: Uri,
    mut headers: HeaderMap,
    body: Bytes,
) -> StatusCode {
    let mut turn = DefaultHasher::new();
    passing.turns.fetch_add(1, Ordering::Relaxed).hash(&mut turn);
    let Some(url) = passing.instances.nth(turn.finish()) else { return StatusCode::BAD_GATEWAY };
    headers.remove(header::HOST);
    headers.insert(SharedSecret::HEADER, SECRET.parse().unwrap());
    let request = passing.http.post(format!("{url}{uri}")).headers(headers).body(body);
    request.send().await.map_or(StatusCode::BAD_GATEWAY, |answer| answer.status())
}
