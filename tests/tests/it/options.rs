//! Options of single calls: retry settings, targets, headers, the trace.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use gae_tasks::backend::TaskState;
use gae_tasks::testing::ManualClock;
use gae_tasks::{Client, ClientBuilder, Error, RetryConfig, TaskContext, deferred};

const TRACE: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
const OTHER: &str = "00-11111111111111111111111111111111-2222222222222222-00";

type Traces = Arc<Mutex<Vec<Option<String>>>>;

fn program(traces: &Traces) -> ClientBuilder {
    Client::builder().registry(crate::tasks_of(module_path!())).state(Arc::clone(traces))
}

#[deferred]
async fn fails() -> Result<(), &'static str> {
    Err("a failure planned by the test")
}

#[deferred]
async fn tells_its_trace(follow: bool, #[context] cx: &TaskContext, #[state] traces: &Traces) {
    traces.lock().unwrap().push(cx.traceparent().map(str::to_owned));
    if follow {
        tells_its_trace::defer(false).await.unwrap();
    }
}

#[deferred]
fn plain_tells_its_trace(#[context] cx: &TaskContext, #[state] traces: Traces) {
    traces.lock().unwrap().push(cx.traceparent().map(str::to_owned));
    tells_its_trace::defer(false).wait().unwrap();
}

/// Returns the URLs of all backends that workers lease from, and a value that must live as long.
fn backends() -> Vec<(String, Option<tempfile::TempDir>)> {
    let folder = tempfile::tempdir().unwrap();
    let file = format!("sqlite:{}", folder.path().join("tasks.db").display());
    vec![("memory:".to_owned(), None), (file, Some(folder))]
}

#[tokio::test]
async fn a_tasks_own_retries_replace_those_of_its_queue() {
    for (url, _folder) in backends() {
        let clock = ManualClock::new();
        let tasks = program(&Traces::default()).clock(clock.clone()).open(&url).await.unwrap();
        let retry = RetryConfig::new()
            .with_min_backoff(Duration::from_secs(7))
            .with_max_backoff(Duration::from_secs(7))
            .with_max_attempts(Some(2));
        let id = fails::defer().retry(retry).on(&tasks).await.unwrap().id;
        assert!(tasks.drain().await.is_err());
        let record = tasks.get(id).await.unwrap().unwrap();
        assert_eq!(
            (record.state, record.schedule_time),
            (TaskState::Scheduled, clock.time().plus(Duration::from_secs(7)))
        );
        clock.advance(Duration::from_secs(7));
        assert!(tasks.drain().await.is_err());
        assert_eq!(tasks.get(id).await.unwrap().unwrap().state, TaskState::Dead, "{url}");
    }
}

#[tokio::test]
async fn what_a_backend_lacks_is_refused_by_name_and_nothing_is_stored() {
    for (url, _folder) in backends() {
        let tasks = Client::open(&url).await.unwrap();
        let (name, _) = url.split_once(':').unwrap();
        assert_eq!((tasks.capabilities().targets, tasks.capabilities().headers), (false, false));
        let calls = [
            (fails::defer().target("worker"), "`.target(..)`"),
            (fails::defer().target_version("worker", "v1"), "`.target(..)`"),
            (fails::defer().header("x-shop", "7"), "`.header(..)`"),
        ];
        for (call, option) in calls {
            let error = call.on(&tasks).await.unwrap_err();
            assert!(matches!(error, Error::UnsupportedOption { .. }), "{error}");
            let text = error.to_string();
            assert!(
                text.contains(option) && text.contains(name) && text.contains("`it.options/fails`"),
                "{text}"
            );
        }
        let many = [fails::defer(), fails::defer().header("x-shop", "7")];
        assert!(matches!(tasks.defer_many(many).await, Err(Error::UnsupportedOption { .. })));
        assert_eq!(tasks.stats().await.unwrap().open(), 0);
    }
}

#[tokio::test]
async fn inline_runs_whatever_its_backend_lacks_and_refuses_what_nothing_could_have() {
    let traces = Traces::default();
    let builder = program(&traces).inline(true);
    let tasks = builder.open("memory:").await.unwrap();
    let call = || tells_its_trace::defer(false).target("worker").header("x-shop", "7");
    call().on(&tasks).await.unwrap();
    call().on(&tasks).wait().unwrap();
    assert_eq!(traces.lock().unwrap().len(), 2);
    let error = call().header("Host", "elsewhere").on(&tasks).await.unwrap_err();
    assert!(
        matches!(error, Error::InvalidOption { .. }) && error.to_string().contains("`Host`"),
        "{error}"
    );
}

#[tokio::test]
async fn a_task_belongs_to_the_trace_that_the_hook_tells() {
    for (url, _folder) in backends() {
        let traces = Traces::default();
        let builder = program(&traces).trace_context(|| Some(TRACE.to_owned()));
        let tasks = builder.open(&url).await.unwrap();
        tasks.run(tells_its_trace::defer(false)).await.unwrap();
        tells_its_trace::defer(false).on(&tasks).wait().unwrap();
        tasks.drain().await.unwrap();
        assert_eq!(*traces.lock().unwrap(), [Some(TRACE.to_owned()), Some(TRACE.to_owned())]);
    }
}

#[tokio::test]
async fn what_a_handler_defers_belongs_to_its_own_trace_unless_the_hook_tells_another() {
    let traces = Traces::default();
    let current = Arc::new(Mutex::new(Some(TRACE.to_owned())));
    let hook = Arc::clone(&current);
    let builder = program(&traces).trace_context(move || hook.lock().unwrap().clone());
    let tasks = builder.open("memory:").await.unwrap();
    tells_its_trace::defer(true).on(&tasks).await.unwrap();
    plain_tells_its_trace::defer().on(&tasks).await.unwrap();
    *current.lock().unwrap() = None;
    assert_eq!(tasks.drain().await.unwrap(), 4);
    assert_eq!(*traces.lock().unwrap(), vec![Some(TRACE.to_owned()); 4]);
    *current.lock().unwrap() = Some(TRACE.to_owned());
    tells_its_trace::defer(true).on(&tasks).await.unwrap();
    *current.lock().unwrap() = Some(OTHER.to_owned());
    traces.lock().unwrap().clear();
    assert_eq!(tasks.drain().await.unwrap(), 2);
    assert_eq!(*traces.lock().unwrap(), [Some(TRACE.to_owned()), Some(OTHER.to_owned())]);
}

#[tokio::test]
async fn what_is_no_trace_is_left_out() {
    let traces = Traces::default();
    for bad in
        ["", "nonsense", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\r\nx-evil: 1"]
    {
        let builder = program(&traces).trace_context(|| Some(bad.to_owned()));
        let tasks = builder.open("memory:").await.unwrap();
        tasks.run(tells_its_trace::defer(false)).await.unwrap();
    }
    assert_eq!(*traces.lock().unwrap(), [None, None, None]);
}
