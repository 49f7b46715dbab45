//! A rolling deploy: an old and a new instance behind one queue.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use gae_tasks::{Registry, deferred};
use http::StatusCode;

use super::stage::World;
use super::status::{Send, Tower};

#[deferred(name = "shop.reports/write")]
async fn write(_id: u64) {}

mod new {
    use gae_tasks::deferred;

    /// The same task after its parameters changed.
    #[deferred(name = "shop.reports/write")]
    pub(super) async fn write(_id: u64, _title: String) {}

    #[deferred(name = "shop.reports/send")]
    pub(super) async fn send() {}
}

#[tokio::test]
async fn each_instance_leaves_to_the_other_what_it_cannot_run() {
    let old = World::with(Registry::new().with::<write>());
    let new = World::with(Registry::new().with::<new::write>().with::<new::send>());
    let (to_old, to_new) = (Tower(old.service()), Tower(new.service()));
    let before = old.request(write::defer(1), 1);
    let after = new.request(new::write::defer(1, "t"), 1);
    let added = new.request(new::send::defer(), 1);
    for (request, at_old, at_new) in [(before, 200, 404), (after, 404, 200), (added, 404, 200)] {
        assert_eq!(to_old.send(request.clone()).await.0, at_old, "{}", request.uri());
        assert_eq!(to_new.send(request.clone()).await.0, at_new, "{}", request.uri());
    }
    assert_eq!((old.dead_letters().await.len(), new.dead_letters().await.len()), (0, 0));
}

/// Sends each request to the instances in turn, as a load balancer does.
struct Balancer(Vec<Tower>, Arc<AtomicUsize>);

impl Send for Balancer {
    async fn send(&self, request: http::Request<bytes::Bytes>) -> (StatusCode, http::HeaderMap) {
        self.0[self.1.fetch_add(1, Ordering::SeqCst) % self.0.len()].send(request).await
    }
}

#[tokio::test]
async fn behind_one_queue_every_task_is_run_by_someone() {
    let old = World::with(Registry::new().with::<write>());
    let new = World::with(Registry::new().with::<new::write>().with::<new::send>());
    let balancer = Balancer(vec![Tower(old.service()), Tower(new.service())], Arc::default());
    for number in 0..10 {
        let request = match number % 3 {
            0 => old.request(write::defer(number), 1),
            1 => new.request(new::write::defer(number, "t"), 1),
            _ => new.request(new::send::defer(), 1),
        };
        let mut tries = 0;
        while balancer.send(request.clone()).await.0 != StatusCode::OK {
            tries += 1;
            assert!(tries < 3, "no instance runs task {number}");
        }
    }
}
