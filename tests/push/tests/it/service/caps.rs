//! Tasks that have reached their limit of attempts or age: the dead letter is stored before the
//! queue drops the task.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use gae_tasks::push::DeadLetter;
use gae_tasks::testing::{Fault, Operation};
use gae_tasks::{Client, Registry, TaskState, deferred};
use http::{HeaderValue, Request, StatusCode};

use super::stage::{Secret, World, end};
use super::status::{Send, Tower};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

#[tokio::test]
async fn the_last_attempt_makes_a_dead_letter_with_all_that_replay_needs() {
    let world = World::new();
    let adapter = Tower(world.service());
    let task = || end::defer("fail").max_attempts(3).queue("orders").named("order-7");
    for attempt in [1, 2] {
        assert_eq!(
            adapter.send(world.request(task(), attempt)).await.0,
            StatusCode::INTERNAL_SERVER_ERROR
        );
        assert_eq!(world.dead_letters().await, []);
    }
    assert_eq!(adapter.send(world.request(task(), 3)).await.0, StatusCode::OK);
    let dead = world.dead_letters().await;
    let letter = &dead[0];
    assert_eq!(
        (letter.state, letter.attempts, letter.spec.queue.as_str()),
        (TaskState::Dead, 3, "orders")
    );
    assert_eq!(letter.spec.name.as_ref().unwrap().as_str(), "order-7");
    assert_eq!(letter.errors[0].message, "cannot fail");
    world.cemetery.replay(letter.spec.id).await.unwrap();
    assert_eq!(world.cemetery.stats().await.unwrap().due, 1);
}

#[deferred(name = "shop.orders/twice", max_attempts = 2)]
async fn twice() -> Result<(), String> {
    Err("as always".into())
}

#[tokio::test]
async fn the_cap_of_the_task_type_holds_too() {
    let world = World::with(Registry::new().with::<twice>());
    let adapter = Tower(world.service());
    assert_eq!(adapter.send(world.request(twice::defer().max_attempts(9), 1)).await.0, 500);
    assert_eq!(adapter.send(world.request(twice::defer().max_attempts(9), 2)).await.0, 200);
    assert_eq!(world.dead_letters().await.len(), 1);
}

#[tokio::test]
async fn attempts_that_died_with_their_instance_count() {
    let world = World::new();
    let adapter = Tower(world.service());
    assert_eq!(
        adapter.send(world.request(end::defer("done").max_attempts(2), 3)).await.0,
        StatusCode::OK
    );
    assert_eq!(world.stage.signs().begun, 0, "the task has reached its limit");
    let dead = world.dead_letters().await;
    assert_eq!(dead[0].attempts, 2);
    assert!(
        dead[0].errors[0].message.starts_with("the attempts are used up: 2 were made"),
        "{}",
        dead[0].errors[0].message
    );
}

/// After a bad deploy, or damage on the way, another instance may be able to read the task.
#[tokio::test]
async fn a_payload_that_cannot_be_read_burns_no_attempt() {
    let world = World::new();
    let adapter = Tower(world.service());
    let unreadable = || {
        let mut request = world.request(end::defer("done").max_attempts(1), 1);
        let body = request.body().to_vec();
        let text = body.windows(5).position(|bytes| bytes == b"\x04done").unwrap();
        *request.body_mut() = [&body[..text + 1], &[0xff; 4], &body[text + 5..]].concat().into();
        request
    };
    let request = unreadable();
    assert_eq!(adapter.send(request.clone()).await.0, StatusCode::NOT_FOUND);
    world.clock.advance(7 * DAY - Duration::from_secs(1));
    assert_eq!(adapter.send(request.clone()).await.0, StatusCode::NOT_FOUND);
    assert_eq!(world.dead_letters().await, []);
    world.clock.advance(Duration::from_secs(1));
    assert_eq!(adapter.send(request).await.0, StatusCode::OK, "the task was unreadable for a week");
    let dead = world.dead_letters().await;
    assert_eq!((dead.len(), dead[0].attempts, world.stage.signs().begun), (1, 0, 0));
}

#[tokio::test]
async fn a_dead_letter_is_kept_for_as_long_as_its_client_states() {
    let world = World::new();
    let keeps = Client::builder().clock(world.clock.clone()).dead_letter_retention(90 * DAY);
    let keeps = keeps.build(world.storage.clone()).unwrap();
    let service = world.client.push_service().verify(Secret).dead_letters(&keeps).build().unwrap();
    assert_eq!(
        Tower(service).send(world.request(end::defer("permanent").queue("orders"), 1)).await.0,
        200
    );
    let queues = keeps.queues().await.unwrap();
    let orders = queues.iter().find(|queue| queue.name.as_str() == "orders").unwrap();
    assert_eq!(orders.config.as_ref().unwrap().dead_letter_retention(), 90 * DAY);
}

#[tokio::test]
async fn without_caps_a_task_has_the_default_ones() {
    let world = World::new();
    let adapter = Tower(world.service());
    assert_eq!(
        adapter.send(world.request(end::defer("fail"), 99)).await.0,
        StatusCode::INTERNAL_SERVER_ERROR
    );
    assert_eq!(world.dead_letters().await, []);
    assert_eq!(adapter.send(world.request(end::defer("fail"), 100)).await.0, StatusCode::OK);
    assert_eq!(world.dead_letters().await[0].attempts, 100);
}

#[tokio::test]
async fn a_dead_letter_that_cannot_be_kept_stays_in_the_queue_until_it_can() {
    let world = World::new();
    let adapter = Tower(world.service());
    let storage = world.storage.clone().with(Operation::Bury, 1, Fault::Fail).with(
        Operation::Bury,
        2,
        Fault::LoseAnswer,
    );
    let request = world.request(end::defer("permanent"), 1);
    assert_eq!(adapter.send(request.clone()).await.0, 500);
    assert_eq!(adapter.send(request.clone()).await.0, 500, "the response was lost");
    assert_eq!(adapter.send(request).await.0, 200);
    assert_eq!(storage.calls(Operation::Bury), 3);
    assert_eq!(world.dead_letters().await.len(), 1, "the dead letter is stored once");
}

#[tokio::test]
async fn garbage_is_kept_once_however_often_it_comes() {
    let world = World::new();
    let adapter = Tower(world.service());
    let mut request = world.request(end::defer("done"), 4);
    *request.body_mut() = Bytes::from_static(b"hello");
    assert_eq!(adapter.send(request.clone()).await.0, 200);
    assert_eq!(adapter.send(request.clone()).await.0, 200);
    *request.body_mut() = Bytes::from_static(b"hullo");
    assert_eq!(adapter.send(request).await.0, 200);
    let dead = world.dead_letters().await;
    let mut payloads: Vec<_> = dead.iter().filter_map(|letter| letter.payload.as_deref()).collect();
    payloads.sort();
    assert_eq!(payloads, [b"hello", b"hullo"]);
    assert_eq!((dead[0].spec.kind.as_str(), dead[0].attempts), ("shop.orders/end", 0));
}

#[tokio::test]
async fn what_nobody_can_run_is_given_up_after_its_bound() {
    let world = World::new();
    let elsewhere = World::with(Registry::new().with::<twice>());
    let adapter = Tower(world.builder().give_up_unroutable_after(2 * DAY).build().unwrap());
    let unknown = elsewhere.request(twice::defer(), 1);
    let mut newer = world.request(end::defer("done").named("order-7"), 1);
    *newer.body_mut() = [b"gt\x09", &newer.body()[3..]].concat().into();

    for request in [&unknown, &newer] {
        assert_eq!(adapter.send(request.clone()).await.0, StatusCode::NOT_FOUND);
    }
    world.clock.advance(2 * DAY - Duration::from_secs(60));
    assert_eq!(adapter.send(unknown.clone()).await.0, StatusCode::NOT_FOUND);
    assert_eq!(world.dead_letters().await, []);

    world.clock.advance(Duration::from_secs(120));
    let storage = world.storage.clone().with(Operation::Bury, 1, Fault::Fail);
    assert_eq!(adapter.send(unknown.clone()).await.0, 500, "the dead letter is not stored yet");
    for request in [unknown, newer] {
        assert_eq!(adapter.send(request).await.0, StatusCode::OK);
    }
    assert_eq!(storage.calls(Operation::Bury), 3);
    let dead = world.dead_letters().await;
    let errors: Vec<_> = dead.iter().map(|letter| letter.errors[0].message.as_str()).collect();
    assert!(
        errors.iter().any(|error| error.contains("no task of kind `shop.orders/twice`")),
        "{errors:?}"
    );
    assert!(errors.iter().any(|error| error.contains("in format 9")), "{errors:?}");
}

const TRACE: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

/// Returns the request of a task with attributes of a newer version that was delivered before.
fn with_newer_attributes(world: &World, attempt: u32) -> Request<Bytes> {
    let client =
        Client::builder().registry(Registry::new().with::<end>()).state(world.stage.clone());
    let client = client.clock(world.clock.clone()).trace_context(|| Some(TRACE.to_owned()));
    let client = client.build(gae_tasks::backend::memory::Memory::new()).unwrap();
    let mut request = client.push_request(end::defer("done").max_attempts(1), attempt).unwrap();
    request.headers_mut().insert("x-secret", HeaderValue::from_static(super::stage::SECRET));
    let mut body = request.body().to_vec();
    let trace = body.windows(TRACE.len()).position(|bytes| bytes == TRACE.as_bytes()).unwrap();
    // The bytes before the trace: the version, no payload elsewhere, a trace, and the trace's
    // length.
    assert_eq!(body[trace - 4..trace], [1, 0, 1, 55]);
    body[trace - 4] = 9;
    *request.body_mut() = body.into();
    request
}

#[tokio::test]
async fn a_task_of_a_newer_version_is_never_run_and_kept_unchanged_before_the_queue_forgets_it() {
    for [give_up, kept_after] in [[7 * DAY, 7 * DAY], [60 * DAY, 30 * DAY + DAY / 2]] {
        let world = World::new();
        let adapter = Tower(world.builder().give_up_unroutable_after(give_up).build().unwrap());
        let attributes = with_newer_attributes(&world, 9);
        let mut envelope = world.request(end::defer("done").max_attempts(1), 9);
        *envelope.body_mut() = [b"gt\x09", &envelope.body()[3..]].concat().into();
        world.clock.advance(kept_after - Duration::from_secs(60));
        for request in [&attributes, &envelope] {
            assert_eq!(adapter.send(after(request.clone(), "500")).await.0, StatusCode::NOT_FOUND);
        }
        assert_eq!(world.dead_letters().await, []);
        // Counted from the ids, which are made a moment after the clock is set.
        world.clock.advance(Duration::from_secs(120));
        for request in [&attributes, &envelope] {
            assert_eq!(adapter.send(after(request.clone(), "500")).await.0, StatusCode::OK);
        }
        let dead = world.dead_letters().await;
        assert_eq!((dead.len(), world.stage.signs().begun), (2, 0));
        let whole =
            dead.iter().find(|letter| letter.payload.as_deref() == Some(&envelope.body()[..]));
        assert!(whole.is_some(), "the bytes of the newer envelope are unchanged");
        let parts = dead.iter().find_map(|letter| letter.spec.attributes.as_deref()).unwrap();
        assert_eq!(
            (parts[0], parts.windows(TRACE.len()).any(|bytes| bytes == TRACE.as_bytes())),
            (9, true)
        );
    }
}

#[tokio::test]
async fn what_only_looks_like_a_newer_task_is_kept_at_once() {
    let world = World::new();
    let adapter = Tower(world.service());
    let mut request = world.request(end::defer("done"), 1);
    *request.body_mut() =
        Bytes::from(vec![b'g', b't', 9].into_iter().chain([0x7f; 60]).collect::<Vec<_>>());
    assert_eq!(adapter.send(request).await.0, StatusCode::OK);
    assert_eq!(world.dead_letters().await.len(), 1);
}

/// Returns the request as sent by a queue whose last request for the task got this response.
fn after(mut request: Request<Bytes>, status: &'static str) -> Request<Bytes> {
    request
        .headers_mut()
        .insert("x-cloudtasks-taskpreviousresponse", HeaderValue::from_static(status));
    request
}

#[tokio::test]
async fn a_task_that_was_only_refused_is_run_before_it_has_been_tried_enough() {
    let world = World::new();
    let adapter = Tower(world.service());
    for status in ["404", "403", "503"] {
        let request = after(world.request(end::defer("done").max_attempts(1), 2), status);
        assert_eq!(adapter.send(request).await.0, StatusCode::OK);
    }
    assert_eq!((world.stage.signs().ended, world.dead_letters().await.len()), (3, 0));
}

#[tokio::test]
async fn a_task_of_a_process_that_never_put_its_queue_ends_as_others_do() {
    let world = World::new();
    let adapter = Tower(world.service());
    for attempt in [501, 5_001] {
        assert_eq!(
            adapter.send(after(world.request(end::defer("fail"), attempt), "500")).await.0,
            StatusCode::OK
        );
    }
    assert_eq!((world.stage.signs().begun, world.dead_letters().await.len()), (0, 2));
}

#[tokio::test]
async fn one_more_attempt_follows_the_first_of_a_task_that_was_only_refused() {
    let world = World::new();
    let adapter = Tower(world.service());
    let request = |attempt, previous| {
        after(world.request(end::defer("fail").max_attempts(3), attempt), previous)
    };
    let more = StatusCode::NOT_EXTENDED;
    assert_eq!(adapter.send(request(9, "503")).await.0, more);
    let mut newer = request(10, "510");
    *newer.body_mut() = [b"gt\x09", &newer.body()[3..]].concat().into();
    assert_eq!(adapter.send(newer).await.0, more, "a refusal does not hide the newer attributes");
    let mut stranger = request(10, "510");
    stranger.headers_mut().insert("x-secret", HeaderValue::from_static("wrong"));
    assert_eq!(adapter.send(stranger).await.0, more, "nor does it if it is not proven");
    let mut get = request(10, "510");
    *get.method_mut() = http::Method::GET;
    assert_eq!(adapter.send(get).await.0, more);
    let full = Tower(world.builder().concurrency(1).build().unwrap());
    let hanging = full.send(world.request(super::stage::hang::defer(), 1));
    let refused = async {
        world.stage.until(|signs| signs.begun == 2).await;
        full.send(request(10, "510")).await
    };
    tokio::select! {
        _ = hanging => unreachable!("it hangs"),
        (status, _) = refused => assert_eq!(status, more),
    }
    assert_eq!(world.dead_letters().await, []);
    assert_eq!(adapter.send(request(11, "510")).await.0, StatusCode::OK);
    assert_eq!((world.stage.signs().ended, world.dead_letters().await.len()), (2, 1));
}

#[tokio::test]
async fn refusals_are_not_counted_where_the_queue_tells_them_apart() {
    let world = World::new();
    let adapter = Tower(world.service());
    let request = |retries: u32, executions: &'static str| {
        let mut request =
            after(world.request(end::defer("fail").max_attempts(3), retries + 1), "500");
        request
            .headers_mut()
            .insert("x-cloudtasks-taskexecutioncount", HeaderValue::from_static(executions));
        request
    };
    assert_eq!(adapter.send(request(9, "8")).await.0, StatusCode::INTERNAL_SERVER_ERROR);
    assert_eq!(adapter.send(request(9, "7")).await.0, StatusCode::OK);
    assert_eq!(world.dead_letters().await[0].attempts, 3);
}

#[tokio::test]
async fn a_task_that_the_queue_will_soon_forget_is_kept() {
    let world = World::new();
    let adapter = Tower(world.service());
    let request = world.request(end::defer("fail"), 90);
    world.clock.advance(30 * DAY);
    assert_eq!(
        adapter.send(after(request.clone(), "500")).await.0,
        StatusCode::INTERNAL_SERVER_ERROR
    );
    // Counted from the id, which is made a moment after the clock is set.
    world.clock.advance(DAY / 2 + Duration::from_secs(60));
    assert_eq!(adapter.send(after(request.clone(), "500")).await.0, StatusCode::OK);
    assert_eq!((world.stage.signs().ended, world.dead_letters().await.len()), (1, 1));
    assert_eq!(adapter.send(after(request, "503")).await.0, StatusCode::OK);
    assert_eq!(world.stage.signs().ended, 1, "an instance that was lost is answered with 503 too");
}

#[tokio::test]
async fn a_task_scheduled_far_ahead_is_not_given_up_before_it_was_due() {
    let world = World::new();
    let elsewhere = World::with(Registry::new().with::<twice>());
    let request = elsewhere.request(twice::defer().after(10 * DAY), 1);
    let adapter = Tower(world.service());
    world.clock.advance(10 * DAY);
    assert_eq!(adapter.send(request.clone()).await.0, StatusCode::NOT_FOUND);
    world.clock.advance(8 * DAY);
    assert_eq!(adapter.send(request).await.0, StatusCode::OK);
}

#[tokio::test]
async fn a_function_of_the_users_keeps_dead_letters() {
    let world = World::new();
    let kept: Arc<Mutex<Vec<DeadLetter>>> = Arc::default();
    let keeper = Arc::clone(&kept);
    let builder =
        world.client.push_service().verify(Secret).dead_letters_to(move |letter: DeadLetter| {
            let keeper = Arc::clone(&keeper);
            async move {
                if letter.attempts == 1 {
                    return Err("the disk is full");
                }
                keeper.lock().unwrap().push(letter);
                Ok(())
            }
        });
    let adapter = Tower(builder.build().unwrap());
    assert_eq!(adapter.send(world.request(end::defer("permanent"), 1)).await.0, 500);
    assert_eq!(adapter.send(world.request(end::defer("permanent"), 2)).await.0, 200);
    let kept = kept.lock().unwrap();
    assert_eq!((kept.len(), kept[0].error.as_str()), (1, "no such order"));
    assert_eq!(kept[0].task.spec.kind.as_str(), "shop.orders/end");
}

#[tokio::test]
async fn a_sink_that_panics_or_hangs_keeps_the_task_queued() {
    let world = World::new();
    let builder = world.client.push_service().verify(Secret).dead_letters_to(
        |letter: DeadLetter| async move {
            assert_ne!(letter.attempts, 1, "the sink is broken");
            std::future::pending::<Result<(), String>>().await
        },
    );
    let adapter = Tower(builder.build().unwrap());
    assert_eq!(adapter.send(world.request(end::defer("permanent"), 1)).await.0, 500);
    let late = async {
        while world.clock.sleepers() == 0 {
            tokio::task::yield_now().await;
        }
        world.clock.advance(Duration::from_secs(30));
    };
    let (answer, ()) = tokio::join!(adapter.send(world.request(end::defer("permanent"), 2)), late);
    assert_eq!(answer.0, 500);
}
