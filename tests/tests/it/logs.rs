//! The log of a worker: one span for each attempt, each error chain once, hints, and never a
//! payload.

use std::fmt::Debug;
use std::io;
use std::sync::{Arc, LazyLock, Mutex};
use std::time::{Duration, SystemTime};

use gae_tasks::backend::memory::Memory;
use gae_tasks::backend::{Backend, Bury, Enqueue, NewTask};
use gae_tasks::payload_store::{PayloadStore, Stored};
use gae_tasks::testing::{Faulty, ManualClock};
use gae_tasks::{
    Client, ClientBuilder, Now, PermanentTaskFailure, QueueConfig, Registry, RetryConfig,
    SingularTaskFailure, TaskContext, TaskId, TaskSpec, Timestamp, Worker, deferred,
    log_as_retried,
};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id};
use tracing::subscriber::{DefaultGuard, NoSubscriber};
use tracing::{Dispatch, Level};
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::{Context, SubscriberExt};

#[derive(Debug, thiserror::Error)]
#[error("the mail server refused: {0}")]
struct Refused(#[source] io::Error);

#[deferred(queue = "emails")]
async fn send_secret(secret: String, fail: bool) -> Result<(), Refused> {
    assert!(!secret.is_empty());
    if fail { Err(Refused(io::Error::other("mailbox full"))) } else { Ok(()) }
}

#[deferred]
async fn waits_quietly() -> Result<(), SingularTaskFailure> {
    Err(SingularTaskFailure::new("the upload is not there yet"))
}

#[deferred]
async fn gives_up() -> Result<(), PermanentTaskFailure> {
    Err(PermanentTaskFailure::new("no such order"))
}

#[deferred]
async fn complains(#[context] cx: &TaskContext) {
    log_as_retried!(number = cx.attempt(), "complaint");
}

/// Log lines in memory.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Lines {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

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

/// Collects this thread's log at `level` and above, until the guard is dropped.
fn listen(level: Level, lines: &Lines) -> DefaultGuard {
    /// As long as there is one subscriber, the first thread to reach a line of the log decides for
    /// all threads whether anybody listens to it. This is another one, and it stays.
    static OTHER: LazyLock<Dispatch> = LazyLock::new(|| Dispatch::new(NoSubscriber::new()));
    LazyLock::force(&OTHER);
    let subscriber =
        tracing_subscriber::fmt().with_max_level(level).with_ansi(false).with_writer(lines.clone());
    tracing::subscriber::set_default(subscriber.finish())
}

/// Returns the log at `level` and above while `work` runs.
async fn logged(level: Level, work: impl Future<Output = ()>) -> String {
    let lines = Lines::default();
    // The runtime of a test has one thread, so this includes futures spawned by the worker.
    let guard = listen(level, &lines);
    work.await;
    drop(guard);
    lines.text()
}

/// Returns the log at `level` and above of a worker that ends when the log contains `expected`.
async fn logged_until(level: Level, expected: &str, tasks: &Client) -> String {
    logged_by(tasks.worker(), level, expected).await
}

async fn logged_by(worker: Worker, level: Level, expected: &str) -> String {
    let lines = Lines::default();
    let guard = listen(level, &lines);
    let (said, expected) = (lines.clone(), expected.to_owned());
    let shutdown = async move {
        while !said.text().contains(&expected) {
            tokio::task::yield_now().await;
        }
    };
    let worker = worker.with_graceful_shutdown(shutdown).into_future();
    let ended = tokio::time::timeout(Duration::from_secs(20), worker).await;
    drop(guard);
    ended.unwrap_or_else(|_| panic!("the log lacks the expected text: {}", lines.text())).unwrap();
    lines.text()
}

fn program() -> ClientBuilder {
    Client::builder().registry(crate::tasks_of(module_path!()))
}

async fn client() -> Client {
    program().open("memory:").await.unwrap()
}

#[tokio::test]
async fn a_failure_is_logged_once_with_its_chain_in_the_span_of_its_attempt() {
    let tasks = client().await;
    let id = send_secret::defer("s3cret", true).on(&tasks).await.unwrap().id.to_string();
    let text = logged(Level::INFO, async {
        tasks.drain().await.unwrap_err();
    })
    .await;
    assert_eq!(text.lines().count(), 1, "{text}");
    for part in [
        "WARN",
        "kind=\"it.logs/send_secret\"",
        "otel.name=emails process",
        "messaging.destination.name=\"emails\"",
        &id,
        "attempt=1",
        "the mail server refused: mailbox full",
    ] {
        assert!(text.contains(part), "`{part}` is missing: {text}");
    }
    assert_eq!(text.matches("mailbox full").count(), 1, "{text}");
}

#[tokio::test]
async fn a_failure_says_which_attempt_it_was_how_many_are_left_and_when_the_next_one_is() {
    let tasks = client().await;
    let minute = RetryConfig::new().with_min_backoff(Duration::from_secs(90));
    tasks.put_queue("emails", QueueConfig::new().with_retry(minute)).await.unwrap();
    let id = send_secret::defer("s3cret", true).max_attempts(3).on(&tasks).await.unwrap().id;
    let expected = [
        "attempt 1 failed: 2 more are left, the next one in 1 min 30 s",
        "attempt 2 failed: 1 more is left, in 3 min",
    ];
    for expected in expected {
        let text = logged_until(Level::WARN, "mailbox full", &tasks).await;
        assert!(text.contains(expected) && text.matches("mailbox full").count() == 1, "{text}");
        tasks.run_now(id).await.unwrap();
    }
    let text = logged_until(Level::WARN, "now a dead letter", &tasks).await;
    assert!(text.contains("attempt 3 failed: it was the last one"), "{text}");
}

#[tokio::test]
async fn a_failure_of_an_inline_task_was_its_last_attempt() {
    let tasks = program().inline(true).open("memory:").await.unwrap();
    let text = logged(Level::WARN, async {
        send_secret::defer("s3cret", true).on(&tasks).await.unwrap_err();
    })
    .await;
    assert!(text.contains("attempt 1 failed: it was the last one"), "{text}");
}

/// Collects the fields of spans as `tracing-opentelemetry` does: only signed integers are numbers.
#[derive(Clone, Default)]
struct Fields(Arc<Mutex<Vec<(String, String)>>>);

impl Visit for Fields {
    fn record_i64(&mut self, field: &Field, value: i64) {
        self.0.lock().unwrap().push((field.name().to_owned(), format!("number {value}")));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.0.lock().unwrap().push((field.name().to_owned(), format!("{value:?}")));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.lock().unwrap().push((field.name().to_owned(), value.to_owned()));
    }
}

impl<S: tracing::Subscriber> tracing_subscriber::Layer<S> for Fields {
    fn on_new_span(&self, span: &Attributes<'_>, _: &Id, _: Context<'_, S>) {
        span.record(&mut self.clone());
    }
}

#[tokio::test]
async fn the_span_of_an_attempt_has_the_names_of_open_telemetry() {
    let tasks = client().await;
    let id = send_secret::defer("s3cret", false).on(&tasks).await.unwrap().id.to_string();
    let fields = Fields::default();
    // As in `listen`, a second subscriber stays installed.
    let other = listen(Level::INFO, &Lines::default());
    let guard =
        tracing::subscriber::set_default(tracing_subscriber::registry().with(fields.clone()));
    tasks.drain().await.unwrap();
    drop((guard, other));
    let fields = fields.0.lock().unwrap().clone();
    let field = |name: &str| {
        fields.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    };
    for (name, value) in [
        ("otel.name", "emails process"),
        ("otel.kind", "consumer"),
        ("messaging.system", "gae_tasks"),
        ("messaging.operation.name", "process"),
        ("messaging.operation.type", "process"),
        ("messaging.destination.name", "emails"),
        ("messaging.message.id", &id),
        // The length of the text, its bytes, and a `bool`.
        ("messaging.message.body.size", "number 8"),
        ("attempt", "number 1"),
        ("kind", "it.logs/send_secret"),
    ] {
        assert_eq!(field(name), Some(value), "{name} in {fields:?}");
    }
}

#[tokio::test]
async fn success_is_quiet() {
    let tasks = client().await;
    let text = logged(Level::INFO, async {
        tasks.run(send_secret::defer("s3cret", false)).await.unwrap();
    })
    .await;
    assert_eq!(text, "");
}

#[tokio::test]
async fn a_singular_failure_is_logged_at_debug_only() {
    let tasks = client().await;
    let fail = async || {
        tasks.run(waits_quietly::defer()).await.unwrap_err();
    };
    assert_eq!(logged(Level::INFO, fail()).await, "");
    assert!(logged(Level::DEBUG, fail()).await.contains("not there yet"));
}

#[tokio::test]
async fn a_payload_is_in_no_log() {
    let tasks = client().await;
    for fail in [true, false] {
        send_secret::defer("s3cret", fail).max_attempts(1).on(&tasks).await.unwrap();
    }
    let text = logged_until(Level::DEBUG, "now a dead letter", &tasks).await;
    assert!(text.contains("send_secret") && !text.contains("s3cret"), "{text}");
}

/// A payload store that accepts every payload and stores none.
#[derive(Debug)]
struct Void;

impl PayloadStore for Void {
    fn name(&self) -> String {
        "the void".to_owned()
    }

    fn put<'a>(&'a self, _: &'a str, _: Vec<u8>) -> Stored<'a, ()> {
        Box::pin(async { Ok(()) })
    }

    fn get<'a>(&'a self, _: &'a str) -> Stored<'a, Option<Vec<u8>>> {
        Box::pin(async { Ok(None) })
    }

    fn delete<'a>(&'a self, _: &'a str) -> Stored<'a, ()> {
        Box::pin(async { Err("there is nothing".into()) })
    }

    fn put_before(&self, _: Timestamp) -> Stored<'_, Vec<String>> {
        Box::pin(async { Ok(Vec::new()) })
    }
}

#[tokio::test]
async fn a_task_whose_payload_is_missing_is_told_of_and_so_is_one_that_cannot_be_deleted() {
    let tasks = program().payload_store(Void).inline_payload(0).open("memory:").await.unwrap();
    let task = send_secret::defer("s3cret", false).on(&tasks).await.unwrap().id;
    let id = task.to_string();
    let text = logged(Level::WARN, async {
        assert!(tasks.drain().await.is_err());
        assert!(tasks.delete(task).await.unwrap());
    })
    .await;
    assert!(
        text.lines().next().is_some_and(|line| line.contains("is missing in the payload store")),
        "{text}"
    );
    for part in ["left to a sweep", "there is nothing", "store=\"the void\"", &id] {
        assert!(text.contains(part), "`{part}` is missing: {text}");
    }
    assert!(!text.contains("s3cret") && text.lines().count() == 2, "{text}");
}

#[tokio::test]
async fn the_trace_is_told_where_there_is_one() {
    let trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let traced = program().trace_context(|| Some(trace.to_owned())).open("memory:").await.unwrap();
    for (tasks, expected) in
        [(traced, format!("traceparent=\"{trace}\"")), (client().await, String::new())]
    {
        let text = logged(Level::INFO, async {
            tasks.run(send_secret::defer("s3cret", true)).await.unwrap_err();
        })
        .await;
        assert!(text.contains("mailbox full") && text.contains(&expected), "{text}");
        assert_eq!(text.contains("traceparent"), !expected.is_empty(), "{text}");
    }
}

#[tokio::test]
async fn a_trace_that_is_none_is_told_of_and_not_repeated() {
    let tasks =
        program().trace_context(|| Some("s3cret".to_owned())).open("memory:").await.unwrap();
    let text = logged(Level::WARN, async {
        complains::defer().on(&tasks).await.unwrap();
    })
    .await;
    assert!(text.contains("invalid `traceparent`") && !text.contains("s3cret"), "{text}");
}

#[tokio::test]
async fn a_task_without_a_handler_is_reported_with_the_fix() {
    let tasks = Client::builder()
        .registry(Registry::new().with::<complains>())
        .open("memory:")
        .await
        .unwrap();
    waits_quietly::defer().on(&tasks).await.unwrap();
    let text = logged_until(Level::ERROR, "`it.logs/waits_quietly`", &tasks).await;
    assert!(
        text.contains("`it.logs/waits_quietly`") && text.contains("gae_tasks::link!(..)"),
        "{text}"
    );
}

#[tokio::test]
async fn a_task_that_strayed_to_a_worker_without_its_state_is_reported_with_the_fix() {
    #[deferred(queue = "strays", name = "strays/needs_state")]
    async fn needs_state(#[state] _: &u8) {}
    let registry = Registry::new().with::<complains>().with::<needs_state>();
    let tasks = Client::builder().registry(registry).open("memory:").await.unwrap();
    needs_state::defer().queue("default").on(&tasks).await.unwrap();
    let worker = tasks.worker().queues(["default"]);
    let text = logged_by(worker, Level::ERROR, "`strays/needs_state`").await;
    assert!(
        text.contains("takes state that the client of this worker does not have")
            && !text.contains("link!"),
        "{text}"
    );
}

#[tokio::test]
async fn a_task_in_a_queue_that_no_worker_serves_is_reported() {
    let tasks = client().await;
    complains::defer().queue("forgotten").on(&tasks).await.unwrap();
    let text = logged_until(Level::ERROR, "does not serve their queue `forgotten`", &tasks).await;
    assert!(
        text.contains("does not serve their queue `forgotten`") && text.contains(".queues([..])"),
        "{text}"
    );
}

#[tokio::test]
async fn what_waits_and_is_run_here_is_not_reported_nor_are_dead_letters() {
    let backend = Faulty::new(Memory::new());
    let tasks = program().build(backend.clone()).unwrap();
    let later = Duration::from_secs(9_999);
    let id = complains::defer().after(later).on(&tasks).await.unwrap().id;
    let shape = tasks.get(id).await.unwrap().unwrap().spec.shape;
    let kind = gae_tasks::Kind::new("elsewhere/dead").unwrap();
    let spec =
        TaskSpec::new(TaskId::from_bytes([1; 16]), kind, shape, gae_tasks::QueueName::DEFAULT);
    let task = NewTask::new(spec, Vec::new(), []);
    let dead = Bury::new(Now::Storage, task, 1, None, "over".to_owned());
    backend.bury(dead).await.unwrap();
    complains::defer().queue("forgotten").after(later).on(&tasks).await.unwrap();
    let text = logged_until(Level::ERROR, "waiting tasks are not run here", &tasks).await;
    assert!(text.contains("`forgotten`") && text.matches("not run here").count() == 1, "{text}");
}

#[tokio::test]
async fn a_queue_that_nobody_has_heard_of_is_told() {
    let tasks = client().await;
    let text = logged(Level::WARN, async {
        tasks.worker().queues(["emial", "emails"]).with_graceful_shutdown(async {}).await.unwrap();
    })
    .await;
    assert!(
        text.contains("queues=\"emial\"") && text.contains("emails") && text.lines().count() == 1,
        "{text}"
    );
}

#[tokio::test]
async fn many_queues_that_nobody_has_heard_of_are_one_short_line() {
    let tasks = client().await;
    let queues: Vec<_> = (0..500).map(|number| format!("tenant-{number}")).collect();
    let text = logged(Level::WARN, async {
        tasks.worker().queues(queues).with_graceful_shutdown(async {}).await.unwrap();
    })
    .await;
    assert!(text.contains(" and 480 more") && text.lines().count() == 1, "{text}");
}

#[tokio::test]
async fn a_dead_letter_is_logged_with_its_last_error() {
    let tasks = client().await;
    send_secret::defer("s3cret", true).max_attempts(1).on(&tasks).await.unwrap();
    let text = logged_until(Level::ERROR, "now a dead letter", &tasks).await;
    assert!(text.contains("now a dead letter") && text.contains("mailbox full"), "{text}");
}

#[tokio::test]
async fn a_permanent_failure_is_one_error_line() {
    let tasks = client().await;
    gives_up::defer().on(&tasks).await.unwrap();
    let text = logged_until(Level::WARN, "now a dead letter", &tasks).await;
    assert!(text.contains("WARN") && text.contains("attempt 1 failed for good"), "{text}");
    assert_eq!(text.matches("ERROR").count(), 1, "{text}");
}

#[tokio::test]
async fn a_task_that_moved_from_another_crate_is_named() {
    assert!(!gae_tasks_tests_touched::GREETING.is_empty());
    mod before {
        #[gae_tasks::deferred(name = "shop/was_moved", queue = "touched")]
        pub(super) async fn was_moved(_: u8) {}
    }
    let here = Registry::linked().of_kinds(["gae_tasks_tests_touched/was_moved"]);
    let tasks = Client::builder().registry(here).open("memory:").await.unwrap();
    before::was_moved::defer(1).on(&tasks).await.unwrap();
    let text = logged_until(Level::ERROR, "alias = [\"shop/was_moved\"]", &tasks).await;
    assert!(text.contains("alias = [\"shop/was_moved\"]"), "{text}");
}

#[tokio::test]
async fn a_complaint_gets_louder_with_every_retry() {
    let context = TaskContext::for_test_attempt(1);
    assert_eq!(context.retry_count(), 0);
    let outside = logged(Level::TRACE, async { log_as_retried!("complaint") }).await;
    assert!(outside.contains("ERROR") && !outside.contains("critical"), "{outside}");
    for (attempt, level) in [(1, "INFO"), (2, "WARN"), (3, "ERROR"), (4, "critical=true")] {
        let text = logged(Level::TRACE, async {
            TaskContext::for_test_attempt(attempt)
                .scope(async { log_as_retried!("complaint") })
                .await;
        })
        .await;
        assert!(text.contains(level), "attempt {attempt}: {text}");
    }
}

#[tokio::test]
async fn a_worker_tells_what_it_serves_and_runs() {
    let tasks = client().await;
    let text = logged_until(Level::DEBUG, "the worker starts", &tasks).await;
    let start = text.lines().find(|line| line.contains("the worker starts")).unwrap();
    assert!(start.contains("emails") && start.contains("concurrency=50"), "{start}");
    assert!(text.contains("kind=\"it.logs/send_secret\""), "{text}");
}

#[tokio::test]
async fn tasks_of_the_future_are_reported_once_at_the_start() {
    let clock = ManualClock::new();
    let tasks = program().clock(clock.clone()).open("memory:").await.unwrap();
    clock.step_to(SystemTime::now().into());
    tasks
        .defer_many((0..150).map(|_| complains::defer().after(Duration::from_secs(9_999_999))))
        .await
        .unwrap();
    let back = clock.time().minus(Duration::from_secs(3600));
    clock.step_to(back);
    let expected = "tasks=150";
    let text = logged_until(Level::WARN, expected, &tasks).await;
    assert_eq!(text.matches("created in the future").count(), 1, "{text}");
}

#[tokio::test]
async fn a_clock_that_is_a_second_behind_is_not_reported() {
    let clock = ManualClock::new();
    let tasks = program().clock(clock.clone()).open("memory:").await.unwrap();
    let id = complains::defer().queue("unserved").on(&tasks).await.unwrap().id;
    let created = tasks.get(id).await.unwrap().unwrap().created;
    // A report that follows the report of tasks created in the future.
    let report = "waiting tasks are not run here";
    clock.step_to(created.minus(Duration::from_secs(1)));
    let text = logged_until(Level::WARN, report, &tasks).await;
    assert!(!text.contains("created in the future"), "{text}");
    clock.step_to(created.minus(Duration::from_micros(1_000_001)));
    let text = logged_until(Level::WARN, report, &tasks).await;
    assert!(text.contains("created in the future"), "{text}");
}

/// The same kind waits in several queues for the same reason.
#[tokio::test]
async fn what_waits_is_reported_once_for_each_queue() {
    let clock = ManualClock::new();
    let tasks = program().clock(clock.clone()).open("memory:").await.unwrap();
    let store = async |queue| {
        before::ship::defer(before::Order { id: 7 }).queue(queue).on(&tasks).await.unwrap();
    };
    store("one").await;
    store("two").await;
    let lines = Lines::default();
    let guard = listen(Level::ERROR, &lines);
    let reports = |queue: &str| {
        let of_queue = format!("queue={queue}");
        let is_report = |line: &&str| line.contains("not run here") && line.contains(&of_queue);
        lines.text().lines().filter(is_report).count()
    };
    let worker = tasks.worker().queues(["one", "two", "three"]);
    let third_is_reported = async {
        while reports("one") + reports("two") < 2 {
            tokio::task::yield_now().await;
        }
        store("three").await;
        while reports("three") == 0 {
            clock.advance(Duration::from_secs(60));
            tokio::task::yield_now().await;
        }
    };
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let worker = worker.with_graceful_shutdown(async move { _ = stopped.await }).into_future();
    let worker = tokio::spawn(worker);
    tokio::time::timeout(Duration::from_secs(20), third_is_reported).await.unwrap();
    stop.send(()).unwrap();
    worker.await.unwrap().unwrap();
    drop(guard);
    assert_eq!(["one", "two", "three"].map(reports), [1; 3], "{}", lines.text());
}

#[tokio::test]
async fn tasks_of_a_newer_version_are_reported() {
    let backend = Faulty::new(Memory::new());
    let tasks = program().build(backend.clone()).unwrap();
    let id = waits_quietly::defer().after(Duration::from_secs(9_999)).on(&tasks).await.unwrap().id;
    let own = tasks.get(id).await.unwrap().unwrap();
    let task = NewTask::new(
        TaskSpec::new(TaskId::from_bytes([1; 16]), own.spec.kind, own.spec.shape, own.spec.queue),
        b"s3cret".to_vec(),
        [],
    )
    .with(|task| task.spec.attributes = Some(vec![99]));
    backend.enqueue(Enqueue::new(Now::Storage, vec![task])).await.unwrap();
    let text = logged_until(Level::ERROR, "newer version of gae-tasks", &tasks).await;
    assert!(
        text.contains("it.logs/waits_quietly") && text.contains("update this program"),
        "{text}"
    );
    assert!(!text.contains("s3cret"), "{text}");
}

/// A task of which a field was added that has no default.
mod before {
    use gae_tasks::deferred;
    use serde::{Deserialize, Serialize};

    #[derive(Serialize, Deserialize)]
    pub(super) struct Order {
        pub(super) id: u64,
    }

    #[deferred(name = "other.logs/ship")]
    pub(super) async fn ship(_order: Order) {}
}

mod after {
    use gae_tasks::deferred;
    use serde::{Deserialize, Serialize};

    #[derive(Serialize, Deserialize)]
    pub(super) struct Order {
        pub(super) id: u64,
        pub(super) gift: bool,
    }

    #[deferred(name = "other.logs/ship")]
    pub(super) async fn ship(_order: Order) {}
}

/// The same, with an upgrade that says what the new field is in older tasks.
mod upgraded {
    use gae_tasks::deferred;
    use serde::Deserialize;

    use super::after::Order;

    #[derive(Deserialize)]
    struct OldOrder {
        id: u128,
    }

    #[derive(Deserialize)]
    struct V1 {
        #[serde(alias = "_order")]
        order: OldOrder,
    }

    fn from_v1(old: V1) -> Result<ShipArgs, std::num::TryFromIntError> {
        Ok(ShipArgs { order: Order { id: old.order.id.try_into()?, gift: false } })
    }

    #[deferred(name = "other.logs/ship", upgrade = from_v1)]
    pub(super) async fn ship(#[alias("_order")] order: Order) {
        tracing::info!("shipped {}, gift: {}", order.id, order.gift);
    }
}

/// What the function itself cannot read, an upgrade of it reads: nothing waits.
#[tokio::test]
async fn a_reading_that_takes_the_place_of_another_is_no_error() {
    let registry = Registry::new().with::<upgraded::ship>();
    let tasks = Client::builder().registry(registry).open("memory:").await.unwrap();
    before::ship::defer(before::Order { id: 7 }).on(&tasks).await.unwrap();
    let text = logged_by(tasks.worker(), Level::INFO, "shipped 7, gift: false").await;
    assert!(!text.contains("tasks of this kind wait"), "{text}");
}

#[tokio::test]
async fn what_is_found_missing_in_tasks_that_were_leased_ahead_is_said_once() {
    let registry = Registry::new().with::<after::ship>();
    let tasks = Client::builder().registry(registry).open("memory:").await.unwrap();
    let of = |id| before::ship::defer(before::Order { id });
    tasks.defer_many((0..200).map(of)).await.unwrap();
    let lines = Lines::default();
    let guard = listen(Level::ERROR, &lines);
    let (said, client) = (lines.clone(), tasks.clone());
    let all_given_back = async move {
        while !said.text().contains("field `_order.gift`")
            || client.stats().await.unwrap().leased > 0
        {
            tokio::task::yield_now().await;
        }
    };
    let worker = tasks.worker().concurrency(20).with_graceful_shutdown(all_given_back);
    tokio::time::timeout(Duration::from_secs(20), worker.into_future()).await.unwrap().unwrap();
    drop(guard);
    let text = lines.text();
    let (waits, put_back) = (text.matches("tasks of this kind wait"), text.matches("put back"));
    let (waits, put_back) = (waits.count(), put_back.count());
    assert_eq!((waits, text.lines().count()), (1, 1 + put_back), "{text}");
    // Only those that were read before the first of them had shown it.
    assert!(put_back <= 20, "{text}");
    let unroutable = tasks.unroutable().await.unwrap();
    assert_eq!(unroutable[0].stats.scheduled, 200);
    assert!(unroutable[0].reason.contains("_order.gift"), "{unroutable:?}");
}
