//! The status of every outcome, the same in every adapter.

use bytes::Bytes;
use gae_tasks::testing::{Fault, Operation};
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::Full;
use tower::ServiceExt;

use super::stage::{World, end, hang};

/// Sends a request to the adapter before a world's service.
pub(crate) trait Send {
    async fn send(&self, request: Request<Bytes>) -> (StatusCode, HeaderMap);
}

/// Checks every row of the table.
pub(crate) async fn every_row(world: &World, adapter: &impl Send) {
    handlers(world, adapter).await;
    guards(world, adapter).await;
    assert_eq!(world.stage.signs().begun, 8, "a refused request runs no handler");
}

async fn handlers(world: &World, adapter: &impl Send) {
    for (how, status) in [
        ("done", StatusCode::OK),
        ("permanent", StatusCode::OK),
        ("singular", StatusCode::REQUEST_TIMEOUT),
        ("fail", StatusCode::INTERNAL_SERVER_ERROR),
        ("panic", StatusCode::INTERNAL_SERVER_ERROR),
    ] {
        let (answer, headers) = adapter.send(world.request(end::defer(how), 1)).await;
        assert_eq!(answer, status, "{how}");
        assert!(!headers.contains_key("retry-after"), "{how}");
    }
    let (answer, headers) = adapter.send(world.request(end::defer("later"), 1)).await;
    assert_eq!(
        (answer, headers["retry-after"].as_bytes()),
        (StatusCode::INTERNAL_SERVER_ERROR, &b"90"[..])
    );

    let dead = world.dead_letters().await;
    assert_eq!(dead.len(), 1, "only the permanent failure");
    assert_eq!(dead[0].errors[0].message, "no such order");

    let world_storage = world.storage.clone().with(Operation::Bury, 1, Fault::Fail);
    let (answer, _) = adapter.send(world.request(end::defer("permanent"), 1)).await;
    assert_eq!(answer, StatusCode::INTERNAL_SERVER_ERROR, "the dead letter is not stored");
    assert_eq!(world_storage.calls(Operation::Bury), 2);

    let missed = async {
        world.stage.until(|signs| signs.begun == 8).await;
        // The handler runs; its timer is created in the same turn.
        while world.clock.sleepers() == 0 {
            tokio::task::yield_now().await;
        }
        world.clock.advance(std::time::Duration::from_secs(30));
    };
    let request = world.request(hang::defer().deadline(std::time::Duration::from_secs(30)), 1);
    let ((answer, _), ()) = tokio::join!(adapter.send(request), missed);
    assert_eq!(answer, StatusCode::GATEWAY_TIMEOUT);
    assert_eq!(world.stage.signs().dropped, 1);
}

async fn guards(world: &World, adapter: &impl Send) {
    let mut unknown = world.request(end::defer("done"), 1);
    // An envelope of a version that does not exist yet.
    *unknown.body_mut() = [b"gt\xff", &unknown.body()[3..]].concat().into();
    assert_eq!(adapter.send(unknown).await.0, StatusCode::NOT_FOUND);

    let mut path = world.request(end::defer("done"), 1);
    *path.uri_mut() = "/_cb/other".parse().unwrap();
    *path.body_mut() = "{}".into();
    assert_eq!(adapter.send(path).await.0, StatusCode::NOT_FOUND);

    let mut stranger = world.request(end::defer("done"), 1);
    stranger.headers_mut().insert("x-secret", "guess".parse().unwrap());
    assert_eq!(adapter.send(stranger).await.0, StatusCode::FORBIDDEN);

    for method in [Method::GET, Method::PUT, Method::DELETE] {
        let mut get = world.request(end::defer("done"), 1);
        *get.method_mut() = method;
        let (answer, headers) = adapter.send(get).await;
        assert_eq!(
            (answer, headers["allow"].as_bytes()),
            (StatusCode::METHOD_NOT_ALLOWED, &b"POST"[..])
        );
    }

    let mut large = world.request(end::defer("done"), 1);
    *large.body_mut() = vec![0; 2 * 1024 * 1024 + 1].into();
    assert_eq!(adapter.send(large).await.0, StatusCode::PAYLOAD_TOO_LARGE);

    let before = world.dead_letters().await.len();
    let mut garbage = world.request(end::defer("done"), 1);
    *garbage.body_mut() = Bytes::from_static(b"{\"order\": 7}");
    assert_eq!(adapter.send(garbage).await.0, StatusCode::OK, "the body can never be a task");
    assert_eq!(world.dead_letters().await.len(), before + 1);
}

/// The service without an adapter.
pub(crate) struct Tower(pub(crate) gae_tasks::push::PushService);

impl Send for Tower {
    async fn send(&self, request: Request<Bytes>) -> (StatusCode, HeaderMap) {
        let response = self.0.clone().oneshot(request.map(Full::new)).await.unwrap();
        (response.status(), response.headers().clone())
    }
}

#[tokio::test]
async fn every_outcome_has_its_status() {
    let world = World::new();
    every_row(&world, &Tower(world.service())).await;
}
