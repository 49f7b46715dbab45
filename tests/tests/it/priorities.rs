//! Priorities of task types and of single calls, and the order in which tasks run.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use gae_tasks::testing::ManualClock;
use gae_tasks::{Client, ClientBuilder, Defer, Error, QueueConfig, deferred};
use tokio::sync::watch;

/// The numbers of the tasks that have run, in that order.
#[derive(Clone, Default)]
struct Ran {
    numbers: Arc<Mutex<Vec<u32>>>,
    changed: watch::Sender<()>,
}

impl Ran {
    fn push(&self, number: u32) {
        self.numbers.lock().unwrap().push(number);
        self.changed.send_replace(());
    }

    fn take(&self) -> Vec<u32> {
        std::mem::take(&mut self.numbers.lock().unwrap())
    }

    async fn until(&self, count: usize) {
        let mut changed = self.changed.subscribe();
        let waited = async {
            while self.numbers.lock().unwrap().len() < count {
                changed.changed().await.unwrap();
            }
        };
        let limit = Duration::from_secs(20);
        tokio::time::timeout(limit, waited).await.expect("the tasks did not run");
    }
}

#[deferred]
async fn plain(number: u32, #[state] ran: &Ran) {
    ran.push(number);
}

#[deferred(priority = 10)]
async fn urgent(number: u32, #[state] ran: &Ran) {
    ran.push(number);
}

fn program(ran: &Ran) -> ClientBuilder {
    Client::builder().registry(crate::tasks_of(module_path!())).state(ran.clone())
}

/// Returns the URLs of all backends that workers lease from, and a value that must live as long.
fn backends() -> Vec<(String, Option<tempfile::TempDir>)> {
    let folder = tempfile::tempdir().unwrap();
    let file = format!("sqlite:{}", folder.path().join("tasks.db").display());
    vec![("memory:".to_owned(), None), (file, Some(folder))]
}

async fn priority_of(tasks: &Client, call: Defer) -> i8 {
    let id = call.on(tasks).await.unwrap().id;
    tasks.get(id).await.unwrap().unwrap().spec.priority
}

#[tokio::test]
async fn a_call_has_the_priority_of_its_type_unless_it_says_another() {
    for (url, _folder) in backends() {
        let tasks = program(&Ran::default()).open(&url).await.unwrap();
        assert_eq!(priority_of(&tasks, plain::defer(1)).await, 0, "{url}");
        assert_eq!(priority_of(&tasks, urgent::defer(1)).await, 10, "{url}");
        for priority in [-100, 0, 100] {
            assert_eq!(priority_of(&tasks, urgent::defer(1).priority(priority)).await, priority);
        }
        let waited = plain::defer(1).priority(3).on(&tasks).wait().unwrap().id;
        let many = tasks.defer_many([plain::defer(1).priority(-3), urgent::defer(1)]);
        let mut kept = vec![tasks.get(waited).await.unwrap().unwrap().spec.priority];
        for deferred in many.await.unwrap() {
            kept.push(tasks.get(deferred.id).await.unwrap().unwrap().spec.priority);
        }
        assert_eq!(kept, [3, -3, 10], "{url}");
    }
}

#[tokio::test]
async fn a_priority_beyond_the_range_is_refused_by_name_and_nothing_is_stored() {
    for (url, _folder) in backends() {
        let tasks = program(&Ran::default()).open(&url).await.unwrap();
        for priority in [i8::MIN, -101, 101, i8::MAX] {
            let error = plain::defer(1).priority(priority).on(&tasks).await.unwrap_err();
            assert!(matches!(error, Error::InvalidOption { .. }), "{error}");
            let (text, given) = (error.to_string(), format!("is {priority}:"));
            for part in ["`.priority(..)`", "`it.priorities/plain`", &given, "-100 to 100"] {
                assert!(text.contains(part), "{text}");
            }
        }
        let many = [plain::defer(1), plain::defer(2).priority(101)];
        assert!(matches!(tasks.defer_many(many).await, Err(Error::InvalidOption { .. })));
        assert_eq!(tasks.stats().await.unwrap().open(), 0, "{url}");
    }
}

#[tokio::test]
async fn a_task_is_run_as_if_it_had_been_due_earlier() {
    for (url, _folder) in backends() {
        let (ran, clock) = (Ran::default(), ManualClock::new());
        let tasks = program(&ran).clock(clock.clone()).open(&url).await.unwrap();
        // Ten steps are worth five minutes.
        for (apart, expected) in [(299, [2_u32, 1]), (301, [1, 2])] {
            plain::defer(1).on(&tasks).await.unwrap();
            clock.advance(Duration::from_secs(apart));
            urgent::defer(2).on(&tasks).await.unwrap();
            tasks.drain().await.unwrap();
            assert_eq!(ran.take(), expected, "{apart} s on {url}");
        }
    }
}

#[tokio::test]
async fn the_step_of_a_queue_is_stored_with_it() {
    for (url, _folder) in backends() {
        let (ran, clock) = (Ran::default(), ManualClock::new());
        let tasks = program(&ran).clock(clock.clone()).open(&url).await.unwrap();
        let step = Duration::from_secs(1);
        tasks.put_queue("default", QueueConfig::new().with_priority_step(step)).await.unwrap();
        plain::defer(1).on(&tasks).await.unwrap();
        clock.advance(step * 11);
        urgent::defer(2).on(&tasks).await.unwrap();
        let stored = tasks.queues().await.unwrap().remove(0).config.unwrap();
        assert_eq!(stored.priority_step(), step);
        tasks.drain().await.unwrap();
        assert_eq!(ran.take(), [1, 2], "{url}");
        let nothing = QueueConfig::new().with_priority_step(Duration::ZERO);
        let refused = tasks.put_queue("default", nothing).await.unwrap_err();
        assert!(matches!(refused, Error::QueueConfig { .. }), "{refused}");
        assert!(refused.to_string().contains("`priority_step`"), "{refused}");
    }
}

#[tokio::test]
async fn a_worker_runs_what_waits_by_priority() {
    for (url, _folder) in backends() {
        let ran = Ran::default();
        let tasks = program(&ran).open(&url).await.unwrap();
        plain::defer(99).priority(-1).on(&tasks).await.unwrap();
        tasks.defer_many((10..30).map(plain::defer)).await.unwrap();
        urgent::defer(2).on(&tasks).await.unwrap();
        plain::defer(1).priority(100).on(&tasks).await.unwrap();
        let all = {
            let ran = ran.clone();
            async move { ran.until(23).await }
        };
        tasks.worker().concurrency(1).with_graceful_shutdown(all).await.unwrap();
        let expected: Vec<u32> = [1, 2].into_iter().chain(10..30).chain([99]).collect();
        assert_eq!(ran.take(), expected, "{url}");
    }
}

#[tokio::test]
async fn inline_has_no_order_and_refuses_what_no_queue_has() {
    let ran = Ran::default();
    let tasks = program(&ran).inline(true).open("memory:").await.unwrap();
    urgent::defer(1).priority(-100).on(&tasks).await.unwrap();
    assert_eq!(ran.take(), [1]);
    let refused = urgent::defer(2).priority(101).on(&tasks).await.unwrap_err();
    assert!(matches!(refused, Error::InvalidOption { .. }), "{refused}");
    assert!(ran.take().is_empty());
}
