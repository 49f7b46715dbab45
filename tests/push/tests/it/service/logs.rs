//! The log of a service, and data that is never logged.

use std::io;
use std::sync::{Arc, LazyLock, Mutex};

use http::StatusCode;
use tracing::subscriber::NoSubscriber;
use tracing::{Dispatch, Level};
use tracing_subscriber::fmt::MakeWriter;

use super::stage::{SECRET, World, end};
use super::status::{Send, Tower};

/// Log lines in memory.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Lines {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

/// A second subscriber that stays. While there is only one, the first thread that reaches a log
/// line decides for all threads whether the line is enabled.
static OTHER: LazyLock<Dispatch> = LazyLock::new(|| Dispatch::new(NoSubscriber::new()));

async fn logged(level: Level, work: impl Future<Output = ()>) -> String {
    let lines = Lines::default();
    LazyLock::force(&OTHER);
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(level)
        .with_ansi(false)
        .with_writer(lines.clone())
        .finish();
    let guard = tracing::subscriber::set_default(subscriber);
    work.await;
    drop(guard);
    String::from_utf8(lines.0.lock().unwrap().clone()).unwrap()
}

#[tokio::test]
async fn a_refusal_is_an_error_without_what_was_sent() {
    let world = World::new();
    let adapter = Tower(world.service());
    let mut request = world.request(end::defer("done"), 1);
    request.headers_mut().insert("x-secret", "gu3ss".parse().unwrap());
    request.headers_mut().insert("authorization", "Bearer t0ken".parse().unwrap());
    let text = logged(Level::TRACE, async {
        assert_eq!(adapter.send(request).await.0, StatusCode::FORBIDDEN);
    })
    .await;
    assert!(text.contains("ERROR") && text.contains("the secret is wrong"), "{text}");
    assert!(!text.contains("gu3ss") && !text.contains("t0ken"), "{text}");
}

#[tokio::test]
async fn a_task_whose_schema_is_not_that_of_its_shape_is_not_run_and_said_to_be_so() {
    let world = World::new();
    let adapter = Tower(world.service());
    let request = world.request(end::defer("done"), 1);
    let body = request.body().to_vec();
    let name = body.windows(3).position(|bytes| bytes == b"how").unwrap();
    let with = |byte: u8| {
        let (mut request, mut body) = (request.clone(), body.clone());
        body[name] = byte;
        *request.body_mut() = body.into();
        request
    };
    // Another name of the parameter: the shape that is beside it is that of this function.
    let text = logged(Level::WARN, async {
        assert_eq!(adapter.send(with(b'w')).await.0, StatusCode::NOT_FOUND);
    })
    .await;
    assert!(text.contains("WARN") && text.contains("another shape"), "{text}");
    assert!(!text.contains("done"), "{text}");
    assert_eq!(world.dead_letters().await.len(), 0);
    assert_eq!(adapter.send(with(b'h')).await.0, StatusCode::OK);
}

#[tokio::test]
async fn a_failure_says_which_attempt_it_was_and_how_many_are_left() {
    let world = World::new();
    let adapter = Tower(world.service());
    let failed = async |attempt: u32| {
        let (adapter, request) =
            (&adapter, world.request(end::defer("fail").max_attempts(3), attempt));
        logged(Level::WARN, async move {
            adapter.send(request).await;
        })
        .await
    };
    let first = failed(1).await;
    assert!(
        first.contains(
            "attempt 1 failed: 2 more are left, the next one when the queue sends it again"
        ),
        "{first}"
    );
    assert!(
        failed(2).await.contains("attempt 2 failed: 1 more is left, when the queue sends it again")
    );
    assert!(failed(3).await.contains("attempt 3 failed: it was the last one"));
    let for_good = logged(Level::WARN, async {
        adapter.send(world.request(end::defer("permanent").max_attempts(3), 2)).await;
    })
    .await;
    assert!(for_good.contains("attempt 2 failed for good: it was the last one"), "{for_good}");
    assert!(for_good.contains("left=0 next=never"), "{for_good}");
}

#[tokio::test]
async fn a_letter_that_is_sent_and_a_newer_task_are_logged_with_their_ids() {
    let world = World::new();
    let adapter = Tower(world.service());
    for version in [4, 9] {
        let mut request = world.request(end::defer("done"), 1);
        let id: String = request.body()[3..19].iter().map(|byte| format!("{byte:02x}")).collect();
        *request.body_mut() = [b"gt", &[version][..], &request.body()[3..]].concat().into();
        let text = logged(Level::WARN, async {
            assert_eq!(adapter.send(request).await.0, StatusCode::NOT_FOUND);
        })
        .await;
        assert!(text.replace('-', "").contains(&format!("id={id}")), "{id}: {text}");
    }
}

#[tokio::test]
async fn strangers_write_one_line_a_minute_with_what_was_wrong() {
    let world = World::new();
    let adapter = Tower(world.service());
    let refused = async |secret: &str| {
        let mut request = world.request(end::defer("done"), 1);
        request.headers_mut().insert("x-secret", secret.parse().unwrap());
        assert_eq!(adapter.send(request).await.0, StatusCode::FORBIDDEN);
    };
    let text = logged(Level::INFO, async {
        for _ in 0..100 {
            refused("gu3ss").await;
        }
        world.clock.advance(std::time::Duration::from_secs(60));
        refused("gu3ss").await;
    })
    .await;
    assert_eq!(text.lines().count(), 2, "{text}");
    assert!(text.contains("refused=1 ") && text.contains("refused=100 "), "{text}");
    assert!(text.contains("the secret is wrong (100)"), "{text}");
}

#[tokio::test]
async fn a_proven_request_whose_body_cannot_be_read_is_always_logged() {
    let world = World::new();
    let adapter = Tower(world.builder().max_body(400).build().unwrap());
    let mut elsewhere = world.request(end::defer("done"), 1);
    *elsewhere.uri_mut() = "/not/ours".parse().unwrap();
    *elsewhere.body_mut() = "hello".into();
    let large = world.request(end::defer("x".repeat(500)), 1);
    let text = logged(Level::WARN, async {
        for _ in 0..3 {
            assert_eq!(adapter.send(elsewhere.clone()).await.0, StatusCode::NOT_FOUND);
            assert_eq!(adapter.send(large.clone()).await.0, StatusCode::PAYLOAD_TOO_LARGE);
        }
    })
    .await;
    assert_eq!(text.matches("is not under the prefix").count(), 3, "{text}");
    assert_eq!(text.matches("body is too large").count(), 3, "{text}");
}

#[tokio::test]
async fn headers_are_told_at_debug_but_for_secrets_and_what_the_platform_logs() {
    let world = World::new();
    let adapter = Tower(world.service());
    let request = || {
        let mut request = world.request(end::defer("done"), 1);
        request.headers_mut().insert("authorization", "Bearer t0ken".parse().unwrap());
        request.headers_mut().insert("x-shop", "s7".parse().unwrap());
        request
    };
    let text = logged(Level::DEBUG, async { _ = adapter.send(request()).await }).await;
    assert!(
        text.contains("x-shop: s7") && text.contains("content-type: application/octet-stream"),
        "{text}"
    );
    for absent in ["t0ken", SECRET, "Google-Cloud-Tasks", "x-cloudtasks"] {
        assert!(!text.contains(absent), "`{absent}` is logged: {text}");
    }
    let text = logged(Level::INFO, async { _ = adapter.send(request()).await }).await;
    assert_eq!(text, "", "success is not logged");
}

#[tokio::test]
async fn a_dead_letter_is_an_error_with_its_id() {
    let world = World::new();
    let adapter = Tower(world.service());
    let text = logged(Level::INFO, async {
        _ = adapter.send(world.request(end::defer("permanent"), 1)).await
    })
    .await;
    let id = world.dead_letters().await[0].spec.id.to_string();
    assert!(
        text.contains("now a dead letter") && text.contains(&id) && text.contains("no such order"),
        "{text}"
    );
}

/// The memory backend cannot copy tasks; a self-made queue may honour `Retry-After`.
#[tokio::test]
async fn a_backend_that_stores_no_copies_is_a_warning_once() {
    let world = World::new();
    let adapter = Tower(world.service());
    let text = logged(Level::WARN, async {
        for _ in 0..3 {
            let (status, headers) = adapter.send(world.request(end::defer("later"), 1)).await;
            assert_eq!(
                (status, headers["retry-after"].as_bytes()),
                (StatusCode::INTERNAL_SERVER_ERROR, &b"90"[..])
            );
        }
    })
    .await;
    assert_eq!(
        text.matches("a copy for the time that the handler chose cannot be stored").count(),
        1,
        "{text}"
    );
}

#[tokio::test]
async fn a_named_task_that_is_not_copied_is_a_warning() {
    let world = World::new();
    let adapter = Tower(world.service());
    let text = logged(Level::WARN, async {
        adapter.send(world.request(end::defer("later").named("once"), 1)).await;
    })
    .await;
    assert_eq!(text.matches("a named task is not copied").count(), 1, "{text}");
}
