//! Deferring: options, results, the choice of the client, inline mode, and every bad input with its
//! error.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use gae_tasks::backend::memory::Memory;
use gae_tasks::backend::{TaskFilter, TaskState};
use gae_tasks::testing::{
    Fault, Faulty, ManualClock, Operation, assert_deferred, assert_not_deferred,
};
use gae_tasks::{
    Client, ClientBuilder, Error, Json, TaskContext, current, deferred, is_from_task_queue,
    log_as_retried, retry_count,
};

type Log = Arc<Mutex<Vec<String>>>;

#[deferred(queue = "emails")]
async fn send_welcome(user_id: u64, template: String, #[state] log: &Log) -> Result<(), String> {
    assert!(is_from_task_queue());
    log.lock().unwrap().push(format!("{template} {user_id} {}", current().unwrap().kind()));
    if user_id == 0 { Err("there is no user 0".to_owned()) } else { Ok(()) }
}

#[deferred]
fn blocks(text: String, #[state] log: Log, #[context] cx: &TaskContext) {
    assert_eq!(current().unwrap().id(), cx.id(), "the blocking pool has the same context");
    log_as_retried!("a line of attempt {}", cx.attempt());
    log.lock().unwrap().push(text);
    if cx.attempt() == 1 {
        follow_up::defer(retry_count()).wait().unwrap();
    }
}

#[deferred]
async fn follow_up(_: u32) {}

#[deferred(queues = ["a", "b", "c"])]
async fn spread_out(_: u32) {}

#[deferred]
async fn takes_json(value: Json<serde_json::Value>, #[state] log: &Log) {
    log.lock().unwrap().push(value.0.to_string());
}

#[deferred]
async fn takes_number(_: Json<f64>) {}

#[derive(serde::Serialize, serde::Deserialize)]
struct Lossy {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    note: Option<u8>,
    number: u8,
}

#[deferred]
async fn takes_value(_value: serde_json::Value) {}

#[deferred]
async fn takes_lossy(_lossy: Lossy) {}

#[deferred]
async fn takes_bytes(_bytes: Vec<u8>) {}

fn program(log: &Log) -> ClientBuilder {
    // No consumer takes a task whose parameters have no schema.
    let tasks = crate::tasks_of(module_path!());
    let kinds: Vec<_> =
        tasks.kinds().filter(|kind| *kind != <takes_value as gae_tasks::Task>::KIND).collect();
    Client::builder().registry(tasks.of_kinds(kinds)).state(log.clone())
}

async fn client() -> (Client, Log) {
    let log = Log::default();
    let tasks = program(&log).open("memory:").await.unwrap();
    (tasks, log)
}

fn lines(log: &Log) -> Vec<String> {
    log.lock().unwrap().clone()
}

#[tokio::test]
async fn a_deferred_call_runs_with_its_arguments() {
    let (tasks, log) = client().await;
    assert!(send_welcome::defer(7, "hi").on(&tasks).await.unwrap().created);
    SendWelcomeArgs { user_id: 8, template: "data".into() }.defer().on(&tasks).await.unwrap();
    assert_eq!(tasks.drain().await.unwrap(), 2);
    assert_eq!(lines(&log), ["hi 7 it.client/send_welcome", "data 8 it.client/send_welcome"]);
}

#[tokio::test]
async fn a_name_defers_once() {
    let (tasks, _) = client().await;
    let first = spread_out::defer(1).named("once").on(&tasks).await.unwrap();
    let second = spread_out::defer(2).named("once").on(&tasks).await.unwrap();
    assert_eq!((first.created, second.created, first.id == second.id), (true, false, true));
    let error = spread_out::defer(3).named("once").must_be_new().on(&tasks).await.unwrap_err();
    assert!(matches!(error, Error::NameTaken { .. }), "{error}");
    assert_eq!(tasks.stats().await.unwrap().open(), 1);
}

#[tokio::test]
async fn after_and_at_wait_for_their_time() {
    let clock = ManualClock::new();
    let tasks = program(&Log::default()).clock(clock.clone()).open("memory:").await.unwrap();
    follow_up::defer(1).after(Duration::from_secs(10)).on(&tasks).await.unwrap();
    follow_up::defer(2).at(clock.time().plus(Duration::from_secs(20))).on(&tasks).await.unwrap();
    follow_up::defer(3).at(SystemTime::UNIX_EPOCH).on(&tasks).await.unwrap();
    let mut ran = vec![tasks.drain().await.unwrap()];
    for _ in 0..2 {
        clock.advance(Duration::from_secs(10));
        ran.push(tasks.drain().await.unwrap());
    }
    assert_eq!(ran, [1, 1, 1]);
}

#[tokio::test]
async fn queues_are_those_of_the_attribute_unless_named() {
    let (tasks, _) = client().await;
    for number in 0..60 {
        spread_out::defer(number).on(&tasks).await.unwrap();
    }
    follow_up::defer(1).queue("elsewhere").on(&tasks).await.unwrap();
    let names: Vec<_> =
        tasks.queues().await.unwrap().into_iter().map(|queue| queue.name.to_string()).collect();
    assert_eq!(names, ["a", "b", "c", "elsewhere"]);
}

#[tokio::test]
async fn default_queues_are_for_tasks_that_name_none() {
    let tasks = program(&Log::default()).default_queues(["low"]).open("memory:").await.unwrap();
    follow_up::defer(1).on(&tasks).await.unwrap();
    spread_out::defer(1).on(&tasks).await.unwrap();
    let records = tasks.list(TaskFilter::new(), None, 10).await.unwrap();
    assert_eq!(records[0].spec.queue.as_str(), "low");
    assert_ne!(records[1].spec.queue.as_str(), "low");
}

#[tokio::test]
async fn many_are_stored_together_or_not_at_all() {
    let (tasks, _) = client().await;
    let calls = [
        follow_up::defer(1),
        spread_out::defer(2).named("x"),
        follow_up::defer(3).named("not a name"),
    ];
    assert!(matches!(tasks.defer_many(calls).await, Err(Error::TaskName { .. })));
    assert_eq!(tasks.stats().await.unwrap().open(), 0);
    assert_eq!(tasks.defer_many((0..100).map(follow_up::defer)).await.unwrap().len(), 100);
}

#[tokio::test]
async fn defer_many_tells_what_became_of_each() {
    let (tasks, _) = client().await;
    let calls = || [follow_up::defer(1).named("n").must_be_new(), follow_up::defer(2)];
    tasks.defer_many(calls()).await.unwrap();
    let Err(Error::Partial { results, .. }) = tasks.defer_many(calls()).await else {
        panic!("the name was free")
    };
    assert!(matches!(results[0], Err(Error::NameTaken { .. })));
    assert!(results[1].as_ref().unwrap().created);
}

#[tokio::test]
async fn wait_works_in_synchronous_code_and_in_a_plain_task() {
    let (tasks, log) = client().await;
    let other = tasks.clone();
    std::thread::spawn(move || blocks::defer("from a thread").on(&other).wait().unwrap())
        .join()
        .unwrap();
    assert_eq!(tasks.drain().await.unwrap(), 2, "the task and the one it deferred");
    assert_eq!(lines(&log), ["from a thread"]);
}

#[tokio::test]
async fn without_a_client_the_error_says_what_to_do() {
    let error = follow_up::defer(1).await.unwrap_err();
    assert!(
        matches!(error, Error::NoClient { .. }) && error.to_string().contains("client.install()"),
        "{error}"
    );
}

#[tokio::test]
async fn the_innermost_scope_decides_which_client_is_used() {
    let ((outer, _), (inner, _)) = (client().await, client().await);
    let guard = outer.enter();
    inner.scope(async { follow_up::defer(1).await.unwrap() }).await;
    assert_eq!((inner.stats().await.unwrap().open(), outer.stats().await.unwrap().open()), (1, 0));
    tokio::spawn(async { follow_up::defer(2).await.unwrap() }).await.unwrap();
    assert_eq!(outer.stats().await.unwrap().open(), 1, "a spawned task of this thread is covered");
    drop(guard);
    assert!(Client::current().is_none());
}

#[tokio::test]
async fn inline_runs_at_once_and_gives_the_handlers_error() {
    let log = Log::default();
    let tasks = program(&log).inline(true).open("memory:").await.unwrap();
    let call = send_welcome::defer(7, "now")
        .after(Duration::from_secs(3600))
        .queue("later")
        .named("n")
        .max_attempts(3);
    call.on(&tasks).await.unwrap();
    assert_eq!(lines(&log), ["now 7 it.client/send_welcome"], "no option reached the function");
    let error = send_welcome::defer(0, "x").on(&tasks).await.unwrap_err();
    let source = std::error::Error::source(&error).unwrap().to_string();
    assert_eq!(
        (error.to_string(), source),
        ("task `it.client/send_welcome` failed".into(), "there is no user 0".into())
    );
    assert_eq!(tasks.stats().await.unwrap().open(), 0);
}

#[deferred]
async fn takes_its_time(#[state] log: &Log) {
    tokio::time::sleep(Duration::from_millis(1)).await;
    log.lock().unwrap().push("done".to_owned());
}

#[test]
fn inline_tasks_can_be_waited_for_without_a_runtime_and_inside_one() {
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let log = Log::default();
    let builder = program(&log).inline(true);
    let tasks = runtime().block_on(builder.open("memory:")).unwrap();
    takes_its_time::defer().on(&tasks).wait().unwrap();
    blocks::defer("plain").on(&tasks).wait().unwrap();
    runtime().block_on(async { takes_its_time::defer().on(&tasks).wait().unwrap() });
    assert_eq!(lines(&log), ["done", "plain", "done"]);
}

#[tokio::test]
async fn an_inline_client_is_not_made_without_its_state() {
    let error = Client::builder().inline(true).open("memory:").await.unwrap_err();
    assert!(matches!(error, Error::Misconfigured { .. }), "{error}");
}

#[tokio::test]
async fn perform_needs_the_state_of_its_task_only() {
    let tasks = Client::open("memory:").await.unwrap();
    tasks.perform(follow_up::defer(1)).await.unwrap().into_result().unwrap();
    let error = tasks.perform(send_welcome::defer(1, "x")).await.unwrap_err();
    assert!(error.to_string().starts_with("1 problem "), "{error}");
}

#[tokio::test]
async fn guards_may_be_dropped_in_any_order() {
    let ((first, _), (second, _)) = (client().await, client().await);
    let (outer, inner) = (first.enter(), second.enter());
    drop(outer);
    follow_up::defer(1).await.unwrap();
    assert_eq!((first.stats().await.unwrap().open(), second.stats().await.unwrap().open()), (0, 1));
    drop(inner);
    assert!(Client::current().is_none());
}

#[tokio::test]
async fn perform_calls_one_task_and_drain_raises_the_first_failure() {
    let (tasks, log) = client().await;
    let outcome = tasks.perform(send_welcome::defer(0, "p")).await.unwrap();
    assert_eq!(outcome.failure().unwrap().to_string(), "there is no user 0");
    let error = tasks.run(send_welcome::defer(0, "r").max_attempts(1)).await.unwrap_err();
    assert!(matches!(error, Error::TaskFailed { .. }), "{error}");
    assert_eq!(tasks.stats().await.unwrap().dead, 1, "the failure is recorded as by a worker");
    assert_eq!(lines(&log).len(), 2);
}

#[tokio::test]
async fn asserts_find_what_was_deferred() {
    let (tasks, _) = client().await;
    send_welcome::defer(7, "hi").on(&tasks).await.unwrap();
    assert_deferred!(tasks, send_welcome);
    assert_deferred!(tasks, send_welcome, |args| args.user_id == 7 && args.template == "hi");
    assert_not_deferred!(tasks, send_welcome, |args| args.user_id == 8);
    assert_not_deferred!(tasks, follow_up);
}

#[tokio::test]
#[should_panic(expected = "user_id: 7")]
async fn an_assert_that_fails_prints_near_misses() {
    let (tasks, _) = client().await;
    send_welcome::defer(7, "hi").on(&tasks).await.unwrap();
    assert_deferred!(tasks, send_welcome, |args| args.user_id == 8);
}

#[tokio::test]
async fn json_carries_what_the_format_cannot() {
    let (tasks, log) = client().await;
    let value = serde_json::json!({ "title": "x", "tags": [1, null] });
    takes_json::defer(Json(value.clone())).on(&tasks).await.unwrap();
    tasks.drain().await.unwrap();
    assert_eq!(lines(&log), [value.to_string()]);
}

#[tokio::test]
async fn json_brings_every_number_back() {
    let (tasks, _) = client().await;
    let ordinary = (0..200).map(|n| f64::from(n) * 1.1 / 1000.0);
    for number in ordinary.chain([-2.693554001703998e265, f64::MAX, f64::MIN_POSITIVE]) {
        takes_number::defer(Json(number)).on(&tasks).await.unwrap();
        assert_deferred!(tasks, takes_number, |args| args.arg0.0 == number);
    }
}

#[tokio::test]
async fn what_cannot_be_read_back_is_refused_and_the_parameter_named() {
    let (tasks, _) = client().await;
    let error = takes_value::defer(serde_json::json!(1)).on(&tasks).await.unwrap_err();
    let text = format!("{:#}", anyhow::Error::from(error));
    assert!(
        text.contains("`it.client/takes_value`")
            && text.contains("`_value`")
            && text.contains("Json<T>"),
        "{text}"
    );
    let error = takes_lossy::defer(Lossy { note: None, number: 1 }).on(&tasks).await.unwrap_err();
    assert!(matches!(error, Error::Unreadable { .. }), "{error}");
    assert_eq!(tasks.stats().await.unwrap().open(), 0);
}

#[tokio::test]
async fn options_out_of_range_are_refused_and_nothing_is_stored() {
    let (tasks, _) = client().await;
    let refused = [
        takes_bytes::defer(vec![0; 2 << 20]),
        follow_up::defer(1).named(""),
        follow_up::defer(1).named("x".repeat(501)),
        follow_up::defer(1).queue("no spaces please"),
        follow_up::defer(1).spread(Vec::<String>::new()),
        follow_up::defer(1).after(Duration::from_secs(1 << 30)),
        follow_up::defer(1).at(SystemTime::now() + Duration::from_secs(1 << 30)),
        follow_up::defer(1).deadline(Duration::ZERO),
        follow_up::defer(1).deadline(Duration::from_secs(1 << 20)),
    ];
    let mut texts = Vec::new();
    for call in refused {
        texts.push(call.on(&tasks).await.unwrap_err().to_string());
    }
    let expected = [
        "2097156 bytes, the limit is 1048576",
        "not a valid task name",
        "not a valid task name",
        "not a valid queue name",
        "`it.client/follow_up` is spread over no queues",
        "accepts at most 10 years",
        "accepts at most 10 years",
        "is 0 s,",
        "accepts",
    ];
    for (text, expected) in texts.iter().zip(expected) {
        assert!(text.contains(expected), "`{text}` does not say `{expected}`");
    }
    assert_eq!(tasks.stats().await.unwrap().open(), 0);
}

#[tokio::test]
async fn urls_that_name_no_backend_are_refused() {
    for (url, expected) in [
        ("", "has no scheme"),
        ("tasks.db", "has no scheme"),
        ("mysql://x", "unknown scheme"),
        ("memory:x", "names a place"),
        ("postgres://ann:s3cret@db:port/shop", "ann:***@db"),
    ] {
        let text = Client::open(url).await.unwrap_err().to_string();
        assert!(text.contains(expected) && !text.contains("s3cret"), "{url}: {text}");
    }
}

#[tokio::test]
async fn a_lost_answer_is_the_callers_error_and_a_name_makes_the_retry_safe() {
    let backend = Faulty::new(Memory::new()).with(Operation::Enqueue, 1, Fault::LoseAnswer);
    let tasks = program(&Log::default()).build(backend).unwrap();
    assert!(follow_up::defer(1).named("n").on(&tasks).await.is_err());
    assert!(!follow_up::defer(1).named("n").on(&tasks).await.unwrap().created);
    assert_eq!(tasks.stats().await.unwrap().open(), 1);
}

#[tokio::test]
async fn dead_letters_are_listed_and_replayed() {
    static CALLS: AtomicU32 = AtomicU32::new(0);
    #[deferred]
    async fn works_the_second_time() -> Result<(), &'static str> {
        if CALLS.fetch_add(1, Ordering::SeqCst) == 0 { Err("not yet") } else { Ok(()) }
    }
    let (tasks, _) = client().await;
    tasks.run(works_the_second_time::defer().max_attempts(1)).await.unwrap_err();
    let dead = tasks.list(TaskFilter::new().state(TaskState::Dead), None, 10).await.unwrap();
    assert_eq!((dead.len(), dead[0].errors[0].message.as_str()), (1, "not yet"));
    tasks.replay(dead[0].spec.id).await.unwrap();
    assert_eq!(tasks.drain().await.unwrap(), 1);
}

#[tokio::test]
async fn a_paused_queue_waits_and_a_purged_one_is_empty() {
    let (tasks, _) = client().await;
    let refused = tasks.pause("default").await.unwrap_err();
    assert!(
        matches!(&refused, Error::NoSuchQueue { queue, .. } if queue == "default"),
        "{refused:?}"
    );
    assert!(matches!(tasks.resume("default").await, Err(Error::NoSuchQueue { .. })));
    tasks.put_queue("default", gae_tasks::QueueConfig::new()).await.unwrap();
    tasks.pause("default").await.unwrap();
    let id = follow_up::defer(1).on(&tasks).await.unwrap().id;
    assert_eq!(tasks.drain().await.unwrap(), 0);
    tasks.resume("default").await.unwrap();
    assert_eq!(tasks.drain().await.unwrap(), 1);
    assert!(!tasks.delete(id).await.unwrap(), "the task is over");
    follow_up::defer(2).on(&tasks).await.unwrap();
    assert_eq!(tasks.purge("default").await.unwrap().deleted, 1);
}

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Returns how long the queue `default` keeps dead letters and names.
async fn kept(tasks: &Client) -> (Duration, Duration) {
    let queues = tasks.queues().await.unwrap();
    let config = queues
        .iter()
        .find(|queue| queue.name.as_str() == "default")
        .unwrap()
        .config
        .clone()
        .unwrap();
    (config.dead_letter_retention(), config.tombstone_retention())
}

#[tokio::test]
async fn a_stated_retention_is_stored_with_the_queues_that_are_deferred_to() {
    let backend = Faulty::new(Memory::new());
    let stated = Client::builder().tombstone_retention(DAY * 7).build(backend.clone()).unwrap();
    follow_up::defer(1).on(&stated).await.unwrap();
    follow_up::defer(2).on(&stated).wait().unwrap();
    stated.defer_many([follow_up::defer(3), follow_up::defer(4).queue("other")]).await.unwrap();
    assert_eq!(kept(&stated).await, (DAY * 30, DAY * 7));
    assert_eq!(backend.calls(Operation::RaiseRetention), 2, "once for each queue");
    let unstated = Client::builder().build(backend.clone()).unwrap();
    follow_up::defer(5).on(&unstated).await.unwrap();
    assert_eq!(kept(&stated).await, (DAY * 30, DAY * 7));
    assert_eq!(backend.calls(Operation::RaiseRetention), 2);
}

#[tokio::test]
async fn a_retention_that_cannot_be_stored_fails_the_call_and_stores_nothing() {
    let backend = Faulty::new(Memory::new());
    let faulty = backend.clone().with(Operation::RaiseRetention, 1, Fault::Fail);
    let stated = Client::builder().dead_letter_retention(DAY).build(faulty).unwrap();
    assert!(follow_up::defer(1).on(&stated).await.is_err());
    assert_eq!(stated.stats().await.unwrap().open(), 0);
    follow_up::defer(1).on(&stated).await.unwrap();
    assert_eq!(kept(&stated).await.0, DAY);
}

#[cfg(feature = "sqlite")]
#[tokio::test]
async fn of_two_programs_on_one_file_the_longer_retention_holds() {
    for order in [[7, 90], [90, 7]] {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}", folder.path().join("tasks.db").display());
        for days in order {
            let program =
                Client::builder().dead_letter_retention(DAY * days).open(&url).await.unwrap();
            follow_up::defer(days).on(&program).await.unwrap();
        }
        assert_eq!(kept(&Client::open(&url).await.unwrap()).await.0, DAY * 90, "{order:?}");
    }
}

#[tokio::test]
async fn a_shorter_retention_is_put_by_hand_and_changes_nothing_else() {
    let (tasks, _) = client().await;
    let retry = gae_tasks::RetryConfig::new().with_max_attempts(Some(3));
    tasks
        .put_queue("default", gae_tasks::QueueConfig::new().with_retry(retry.clone()))
        .await
        .unwrap();
    let shorter = gae_tasks::QueueConfig::new().with_dead_letter_retention(DAY);
    tasks.put_queue("default", shorter).await.unwrap();
    assert_eq!(kept(&tasks).await, (DAY, DAY));
    assert_eq!(tasks.queues().await.unwrap()[0].config.as_ref().unwrap().retry(), &retry);
}

#[tokio::test]
async fn a_retention_that_is_shortened_before_the_first_task_stays_short() {
    let tasks = Client::builder().dead_letter_retention(DAY * 90).build(Memory::new()).unwrap();
    tasks
        .put_queue("default", gae_tasks::QueueConfig::new().with_dead_letter_retention(DAY * 7))
        .await
        .unwrap();
    follow_up::defer(1).on(&tasks).await.unwrap();
    assert_eq!(kept(&tasks).await.0, DAY * 7);
}
