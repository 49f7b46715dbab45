//! The checks before a handler (room, identity, size and time of the body), and handlers whose
//! caller has hung up.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use gae_tasks::push::is_from_task_queue;
use http::{Request, StatusCode};
use http_body::{Body, Frame};
use http_body_util::Full;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tower::ServiceExt;

use super::stage::{World, end, hang, plain, wait};
use super::status::{Send, Tower};

/// A body that arrives piece by piece and counts how often it was polled.
pub(super) struct Pieces {
    pieces: UnboundedReceiver<Result<Bytes, String>>,
    asked: Arc<AtomicUsize>,
}

impl Body for Pieces {
    type Data = Bytes;
    type Error = String;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, String>>> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        self.pieces.poll_recv(cx).map(|piece| piece.map(|piece| piece.map(Frame::data)))
    }
}

pub(super) fn in_pieces(
    request: Request<Bytes>,
    pieces: Vec<Result<Bytes, String>>,
) -> (Request<Pieces>, Arc<AtomicUsize>) {
    let (sender, receiver) = unbounded_channel();
    pieces.into_iter().for_each(|piece| sender.send(piece).unwrap());
    let asked = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&asked);
    (request.map(|_| Pieces { pieces: receiver, asked: counter }), asked)
}

#[tokio::test]
async fn a_strangers_body_is_never_read() {
    let world = World::new();
    for (header, status) in
        [("guess", StatusCode::FORBIDDEN), ("panic", StatusCode::INTERNAL_SERVER_ERROR)]
    {
        let mut request = world.request(end::defer("done"), 1);
        request.headers_mut().insert("x-secret", header.parse().unwrap());
        let (request, asked) = in_pieces(request, vec![]);
        let response = world.service().oneshot(request).await.unwrap();
        assert_eq!((response.status(), asked.load(Ordering::SeqCst)), (status, 0));
        assert!(!is_from_task_queue(response.extensions()));
    }
    assert_eq!(
        Tower(world.service()).send(world.request(end::defer("done"), 1)).await.0,
        200,
        "the handler goes on"
    );
}

#[tokio::test]
async fn a_body_in_pieces_is_one_task() {
    let world = World::new();
    let request = world.request(end::defer("done"), 1);
    let pieces = request.body().chunks(7).map(|piece| Ok(Bytes::copy_from_slice(piece))).collect();
    let (request, _) = in_pieces(request, pieces);
    let response = world.service().oneshot(request).await.unwrap();
    assert_eq!((response.status(), world.stage.signs().ended), (StatusCode::OK, 1));
    assert!(is_from_task_queue(response.extensions()), "outer middlewares see the verified mark");
}

#[tokio::test]
async fn a_body_that_does_not_tell_its_length_is_read_to_the_limit_only() {
    let world = World::new();
    let service = world.builder().max_body(1000).build().unwrap();
    let pieces = vec![Ok(Bytes::from(vec![0; 100])); 1000];
    let (request, asked) = in_pieces(world.request(end::defer("done"), 1), pieces);
    assert_eq!(service.oneshot(request).await.unwrap().status(), StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!(asked.load(Ordering::SeqCst), 11);
}

#[tokio::test]
async fn a_body_that_breaks_off_is_no_task() {
    let world = World::new();
    let half = world.request(end::defer("done"), 1).into_body();
    let (request, _) = in_pieces(
        world.request(end::defer("done"), 1),
        vec![Ok(half.slice(..9)), Err("connection reset".into())],
    );
    assert_eq!(world.service().oneshot(request).await.unwrap().status(), StatusCode::BAD_REQUEST);
    assert_eq!(world.dead_letters().await, [], "the queue sends it again");
}

#[tokio::test]
async fn a_body_that_stalls_is_given_up() {
    let world = World::new();
    let service = world.builder().body_within(Duration::from_secs(5)).build().unwrap();
    let (sender, receiver) = unbounded_channel();
    let request = world.request(end::defer("done"), 1);
    sender.send(Ok(request.body().slice(..9))).unwrap();
    let request = request.map(|_| Pieces { pieces: receiver, asked: Arc::default() });
    let time = async {
        while world.clock.sleepers() == 0 {
            tokio::task::yield_now().await;
        }
        world.clock.advance(Duration::from_secs(5));
    };
    let (response, ()) = tokio::join!(service.oneshot(request), time);
    assert_eq!(response.unwrap().status(), StatusCode::REQUEST_TIMEOUT);
    drop(sender);
}

#[tokio::test]
async fn over_its_limit_the_service_slows_the_queue_and_recovers() {
    let world = World::new();
    let adapter = Tower(world.builder().concurrency(2).build().unwrap());
    let [first, second] = [1, 1].map(|attempt| {
        tokio::spawn(
            adapter.0.clone().oneshot(world.request(wait::defer(), attempt).map(Full::new)),
        )
    });
    world.stage.until(|signs| signs.begun == 2).await;
    assert_eq!(
        adapter.send(world.request(end::defer("done"), 1)).await.0,
        StatusCode::SERVICE_UNAVAILABLE
    );
    let mut stranger = world.request(end::defer("done"), 1);
    stranger.headers_mut().remove("x-secret");
    assert_eq!(adapter.send(stranger).await.0, StatusCode::FORBIDDEN, "strangers take no room");
    world.stage.let_pass(2);
    for running in [first, second] {
        assert_eq!(running.await.unwrap().unwrap().status(), StatusCode::OK);
    }
    assert_eq!(adapter.send(world.request(end::defer("done"), 1)).await.0, StatusCode::OK);
}

#[tokio::test]
async fn an_async_handler_is_dropped_when_nobody_waits_for_it() {
    let world = World::new();
    let adapter = Tower(world.builder().concurrency(1).build().unwrap());
    let caller =
        tokio::spawn(adapter.0.clone().oneshot(world.request(hang::defer(), 1).map(Full::new)));
    world.stage.until(|signs| signs.begun == 1).await;
    caller.abort();
    world.stage.until(|signs| signs.dropped == 1).await;
    assert_eq!(
        adapter.send(world.request(end::defer("done"), 1)).await.0,
        StatusCode::OK,
        "the task's place is free"
    );
}

#[tokio::test]
async fn a_plain_function_nobody_waits_for_is_told_and_keeps_its_place() {
    let world = World::new();
    let adapter = Tower(world.builder().concurrency(1).build().unwrap());
    let caller =
        tokio::spawn(adapter.0.clone().oneshot(world.request(plain::defer(), 1).map(Full::new)));
    world.stage.until(|signs| signs.begun == 1).await;
    caller.abort();
    world.stage.until(|signs| signs.cancelled == 1).await;
    assert_eq!(
        adapter.send(world.request(end::defer("done"), 2)).await.0,
        StatusCode::SERVICE_UNAVAILABLE
    );
    world.stage.let_pass(1);
    world.stage.until(|signs| signs.ended == 1).await;
    let freed = async {
        while adapter.send(world.request(end::defer("done"), 2)).await.0 != StatusCode::OK {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(super::stage::PATIENCE, freed)
        .await
        .expect("the task's place was not released");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn fifty_callers_at_once_are_all_served() {
    let world = Arc::new(World::new());
    let service = world.service();
    let callers: Vec<_> = (0..50)
        .map(|number| {
            let how = ["done", "panic", "fail", "singular", "done"][number % 5];
            let request = world.request(end::defer(how), 1).map(Full::new);
            (how, tokio::spawn(service.clone().oneshot(request)))
        })
        .collect();
    for (how, caller) in callers {
        let status = caller.await.unwrap().unwrap().status();
        let expected = match how {
            "done" => 200,
            "singular" => 408,
            _ => 500,
        };
        assert_eq!(status, expected, "{how}");
    }
    assert_eq!(world.stage.signs().ended, 50);
}

#[tokio::test]
async fn requests_of_other_handlers_are_marked_when_proven() {
    let world = World::new();
    let service = world.service();
    let proven = service.mark(world.request(end::defer("done"), 1)).await;
    assert!(is_from_task_queue(proven.extensions()));
    let mut stranger = world.request(end::defer("done"), 1);
    stranger.headers_mut().remove("x-secret");
    stranger.headers_mut().insert("x-appengine-taskname", "t".parse().unwrap());
    assert!(!is_from_task_queue(service.mark(stranger).await.extensions()));
}
