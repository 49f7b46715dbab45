//! Deferring large payloads: where payloads are stored, and what is left behind after a refusal.

use std::time::Duration;

use gae_tasks::backend::{Backend, TaskFilter};
use gae_tasks::testing::{Fault, Operation};
use gae_tasks::{Client, Error, RetryConfig};

use super::shelf::{Ran, Trouble, World, fails, key, plain_takes, program, takes, text};

#[tokio::test]
async fn what_fits_travels_with_its_task_and_one_byte_more_does_not() {
    for world in World::on_each().await {
        // The length prefix of a text of 99 bytes is one byte more.
        let [inline, spilled] =
            [99, 100].map(|bytes| takes::defer(text(bytes)).on(&world.tasks).into_future());
        let (inline, spilled) = (inline.await.unwrap().id, spilled.await.unwrap().id);
        assert_eq!(world.shelf.keys(), [key(spilled)], "the key is the task's id and the suffix");
        let record = async |id| world.tasks.get(id).await.unwrap().unwrap();
        let length = async |id| record(id).await.payload.unwrap().len();
        assert_eq!((length(inline).await, length(spilled).await), (100, 0));
        assert_eq!(world.tasks.drain().await.unwrap(), 2);
        assert_eq!(world.ran.lengths(), [99, 100]);
    }
}

#[tokio::test]
async fn what_no_backend_takes_is_run_by_a_worker() {
    for world in World::on_each().await {
        let large = 3 * world.tasks.capabilities().max_payload;
        takes::defer(text(large)).on(&world.tasks).await.unwrap();
        plain_takes::defer(text(large)).on(&world.tasks).await.unwrap();
        world.work_until(|world| world.ran.lengths().len() == 2 && world.shelf.len() == 0).await;
        assert_eq!(world.ran.lengths(), [large, large]);
        assert_eq!(world.tasks.stats().await.unwrap().open(), 0);
    }
}

#[tokio::test]
async fn a_large_payload_drops_no_other_option() {
    let trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let clock = gae_tasks::testing::ManualClock::new();
    let shelf = super::shelf::Shelf::new("shelf", &clock);
    let builder = program(&Ran::default()).clock(clock.clone()).payload_store(shelf.clone());
    let tasks =
        builder.trace_context(move || Some(trace.to_owned())).open("memory:").await.unwrap();
    let retry = RetryConfig::new().with_max_attempts(Some(7));
    let call = |bytes| {
        let call =
            takes::defer(text(bytes)).after(Duration::from_secs(60)).queue("large").max_attempts(3);
        call.named(format!("n{bytes}"))
            .deadline(Duration::from_secs(9))
            .retry(retry.clone())
            .must_be_new()
    };
    let small = call(10).on(&tasks).await.unwrap().id;
    let large = call(1_000_000).on(&tasks).await.unwrap().id;
    let [small, large] =
        [tasks.get(small).await, tasks.get(large).await].map(|found| found.unwrap().unwrap());
    assert_eq!((large.schedule_time, &large.spec.queue), (small.schedule_time, &small.spec.queue));
    assert_eq!(
        (large.spec.max_attempts, large.spec.deadline),
        (Some(3), Some(Duration::from_secs(9)))
    );
    assert_eq!(
        (&large.spec.retry, large.spec.name.unwrap().as_str()),
        (&Some(retry.clone()), "n1000000")
    );
    let attributes =
        String::from_utf8_lossy(large.spec.attributes.as_deref().unwrap()).into_owned();
    assert!(attributes.contains(trace), "{attributes}");
    assert!(matches!(call(1_000_000).on(&tasks).await, Err(Error::NameTaken { .. })));
    assert_eq!(shelf.len(), 1, "a refused task leaves no payload behind");
}

#[tokio::test]
async fn without_a_store_or_above_its_bound_the_error_tells_the_fix() {
    let tasks = Client::open("memory:").await.unwrap();
    let error = takes::defer(text(1 << 20)).on(&tasks).await.unwrap_err();
    assert!(matches!(error, Error::PayloadTooLarge { limit: 1_048_576, .. }), "{error}");
    assert!(error.to_string().contains("`.payload_store(..)`"), "{error}");
    let (world, _) = World::faulty();
    let builder =
        Client::builder().payload_store(world.shelf.clone()).max_payload(2000).inline_payload(1000);
    let tasks = builder.open("memory:").await.unwrap();
    takes::defer(text(1998)).on(&tasks).await.unwrap();
    let error = takes::defer(text(1999)).on(&tasks).await.unwrap_err();
    assert!(matches!(error, Error::PayloadTooLarge { size: 2001, limit: 2000, .. }), "{error}");
    assert!(error.to_string().contains("`.max_payload(..)`"), "{error}");
    assert_eq!(world.shelf.len(), 1);
}

#[tokio::test]
async fn an_inline_limit_above_that_of_the_backend_is_no_limit() {
    let (world, _) = World::faulty();
    let builder = Client::builder().payload_store(world.shelf.clone()).inline_payload(usize::MAX);
    let tasks = builder.open("memory:").await.unwrap();
    takes::defer(text(1 << 20)).on(&tasks).await.unwrap();
    assert_eq!(world.shelf.len(), 1);
}

#[tokio::test]
async fn a_duplicates_payload_is_deleted_at_once() {
    for world in World::on_each().await {
        let call = || takes::defer(text(1000)).named("once");
        let first = call().on(&world.tasks).await.unwrap();
        let second = call().on(&world.tasks).await.unwrap();
        assert_eq!((first.id, second.created), (second.id, false));
        assert!(matches!(
            call().must_be_new().on(&world.tasks).await,
            Err(Error::NameTaken { .. })
        ));
        let many = world
            .tasks
            .defer_many([call(), takes::defer(text(500)), call().named("other")])
            .await
            .unwrap();
        assert_eq!(
            many.iter().map(|answer| answer.created).collect::<Vec<_>>(),
            [false, true, true]
        );
        let expected = [first.id, many[1].id, many[2].id].map(key);
        assert_eq!(world.shelf.keys(), expected);
        assert_eq!(world.tasks.drain().await.unwrap(), 3);
        assert_eq!(world.shelf.len(), 0);
    }
}

#[tokio::test]
async fn many_are_put_before_any_is_stored_and_none_is_left_if_one_is_refused() {
    for world in World::on_each().await {
        let calls = |count| (0..count).map(|_| takes::defer(text(1000)));
        world.tasks.defer_many(calls(50)).await.unwrap();
        assert_eq!((world.shelf.len(), world.tasks.stats().await.unwrap().open()), (50, 50));
        world.shelf.have(Trouble::Down);
        let error = world.tasks.defer_many(calls(3)).await.unwrap_err();
        assert!(matches!(error, Error::PayloadStore { .. }), "{error}");
        world.shelf.have(Trouble::None);
        assert_eq!(world.tasks.drain().await.unwrap(), 50);
        assert_eq!((world.shelf.len(), world.tasks.stats().await.unwrap().open()), (0, 0));
    }
}

#[tokio::test]
async fn a_store_that_refuses_is_named_and_nothing_is_stored() {
    for world in World::on_each().await {
        world.shelf.have(Trouble::Down);
        let error = takes::defer(text(1000)).on(&world.tasks).await.unwrap_err();
        let text = format!("{:#}", anyhow::Error::from(error));
        for part in [
            "`shelf`",
            "`it::payloads::shelf/takes`",
            "1002 bytes",
            "not stored",
            "the shelf is down",
        ] {
            assert!(text.replace('.', "::").contains(part), "`{part}` is missing: {text}");
        }
        assert_eq!(world.tasks.stats().await.unwrap().open(), 0);
        takes::defer("x").on(&world.tasks).await.unwrap();
    }
}

#[tokio::test]
async fn what_may_be_stored_keeps_its_payload() {
    let (world, backend) = World::faulty();
    let backend = backend.with(Operation::Enqueue, 1, Fault::Fail).with(
        Operation::Enqueue,
        2,
        Fault::LoseAnswer,
    );
    for _ in 0..2 {
        assert!(matches!(
            takes::defer(text(1000)).on(&world.tasks).await,
            Err(Error::Storage { .. })
        ));
    }
    assert_eq!(
        (world.shelf.len(), backend.calls(Operation::Enqueue)),
        (2, 2),
        "it is unknown which payload is needed"
    );
    assert_eq!(world.tasks.drain().await.unwrap(), 1);
    assert_eq!(
        (world.ran.lengths(), world.shelf.len()),
        (vec![1000], 1),
        "a sweep deletes the remaining payloads"
    );
    let backend = backend.with(Operation::Enqueue, 1, Fault::LoseAnswer);
    assert!(world.tasks.defer_many((0..2).map(|_| takes::defer(text(1000)))).await.is_err());
    assert_eq!((world.shelf.len(), backend.capabilities().pull), (3, true));
    assert_eq!(world.tasks.drain().await.unwrap(), 2);
}

#[tokio::test]
async fn tasks_that_run_inline_need_no_store() {
    let (world, _) = World::faulty();
    world.shelf.have(Trouble::Down);
    let builder = program(&world.ran).payload_store(world.shelf.clone()).inline(true);
    let inline = builder.open("memory:").await.unwrap();
    takes::defer(text(2_000_000)).on(&inline).await.unwrap();
    takes::defer(text(2_000_000)).on(&inline).wait().unwrap();
    world.tasks.perform(fails::defer(text(2_000_000))).await.unwrap();
    assert_eq!(world.ran.lengths(), [2_000_000; 3]);
}

/// A store that needs a runtime, like stores on a network.
#[derive(Debug)]
struct Far(super::shelf::Shelf);

impl gae_tasks::payload_store::PayloadStore for Far {
    fn name(&self) -> String {
        self.0.name()
    }

    fn put<'a>(
        &'a self,
        key: &'a str,
        payload: Vec<u8>,
    ) -> gae_tasks::payload_store::Stored<'a, ()> {
        Box::pin(async move {
            tokio::time::sleep(Duration::from_millis(1)).await;
            self.0.put(key, payload).await
        })
    }

    fn get<'a>(&'a self, key: &'a str) -> gae_tasks::payload_store::Stored<'a, Option<Vec<u8>>> {
        self.0.get(key)
    }

    fn delete<'a>(&'a self, key: &'a str) -> gae_tasks::payload_store::Stored<'a, ()> {
        self.0.delete(key)
    }

    fn put_before(
        &self,
        moment: gae_tasks::Timestamp,
    ) -> gae_tasks::payload_store::Stored<'_, Vec<String>> {
        self.0.put_before(moment)
    }
}

#[test]
fn callers_that_block_reach_a_store_that_needs_a_runtime() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (world, _) = World::faulty();
    let far = Far(world.shelf.clone());
    let builder = program(&world.ran).payload_store(far);
    let tasks = runtime.block_on(builder.open("memory:")).unwrap();
    plain_takes::defer(text(200_000)).on(&tasks).wait().unwrap();
    runtime.block_on(async {
        plain_takes::defer(text(200_000)).on(&tasks).wait().unwrap();
        assert_eq!(
            (tasks.list(TaskFilter::new(), None, 9).await.unwrap().len(), world.shelf.len()),
            (2, 2)
        );
        assert_eq!(tasks.drain().await.unwrap(), 2);
    });
    assert_eq!((world.ran.lengths(), world.shelf.len()), (vec![200_000, 200_000], 0));
}
