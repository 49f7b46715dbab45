//! A consumer checks the tasks that it can meet, and no others.

use std::sync::Arc;
use std::time::Duration;

use gae_tasks::{Client, Error, Registry, Task, TaskFilter, deferred};

#[allow(clippy::duplicate_mod)]
#[path = "twice.rs"]
mod once;
#[allow(clippy::duplicate_mod)]
#[path = "twice.rs"]
mod twice;

struct Db;

#[deferred(queue = "plain")]
async fn needs_nothing() {}

#[deferred(queue = "stateful")]
async fn needs_a_db(#[state] _db: &Db) {}

#[deferred(queue = "shared")]
async fn needs_a_shared_db(#[state] _db: &Arc<Db>) {}

trait Mailer {}

struct Smtp;

impl Mailer for Smtp {}

#[deferred(queue = "mailing")]
async fn needs_a_mailer(#[state] _mailer: &Arc<dyn Mailer + Send + Sync>) {}

#[deferred(queue = "plain")]
async fn defers_one_that_needs_a_db() -> Result<(), Error> {
    needs_a_db::defer().await?;
    Ok(())
}

/// Returns the problems of a consumer of all tasks of this program, without any state.
async fn client() -> Client {
    Client::open("memory:").await.unwrap()
}

fn problems<T: std::fmt::Debug>(answer: Result<T, Error>) -> Vec<String> {
    match answer {
        Err(Error::Misconfigured { problems, .. }) => problems,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_drain_asks_for_the_state_of_what_is_stored_only() {
    let tasks = client().await;
    assert_eq!(tasks.drain().await.unwrap(), 0);
    assert_eq!(tasks.run(needs_nothing::defer()).await.unwrap(), 1);
}

#[tokio::test]
async fn a_drain_tells_of_every_stored_kind_that_lacks_its_state() {
    let tasks = client().await;
    needs_a_db::defer().on(&tasks).await.unwrap();
    let problems = problems(tasks.run(needs_a_shared_db::defer()).await);
    assert_eq!(problems.len(), 2, "{problems:#?}");
    assert!(
        problems.iter().all(|problem| problem.contains("takes state of type")),
        "{problems:#?}"
    );
    assert_eq!(tasks.stats().await.unwrap().scheduled, 2, "they wait");
}

#[tokio::test]
async fn a_drain_gives_back_what_a_task_deferred_that_lacks_its_state() {
    let tasks = client().await;
    let problems = problems(tasks.run(defers_one_that_needs_a_db::defer()).await);
    assert!(problems[0].contains("consumers/needs_a_db` at "), "{problems:#?}");
    let waiting = tasks.list(TaskFilter::new(), None, 10).await.unwrap();
    assert_eq!(waiting.len(), 1);
    assert_eq!((waiting[0].spec.kind.as_str(), waiting[0].attempts), (needs_a_db::KIND, 0));
}

#[tokio::test]
async fn a_worker_asks_for_the_state_of_its_queues_only() {
    let tasks = client().await;
    let soon = tokio::time::sleep(Duration::from_millis(1));
    tasks.worker().queues(["plain"]).with_graceful_shutdown(soon).await.unwrap();
    let problems = problems(
        tasks.worker().queues(["plain", "stateful"]).with_graceful_shutdown(async {}).await,
    );
    assert!(problems.len() == 1 && problems[0].contains("consumers::Db`"), "{problems:#?}");
}

#[tokio::test]
async fn a_task_that_strayed_into_the_queue_of_a_worker_without_its_state_waits() {
    let tasks = client().await;
    let strayed = needs_a_db::defer().queue("plain").on(&tasks).await.unwrap().id;
    let plain = needs_nothing::defer().on(&tasks).await.unwrap().id;
    let (client, (stop, stopped)) = (tasks.clone(), tokio::sync::oneshot::channel::<()>());
    let worker =
        tasks.worker().queues(["plain"]).with_graceful_shutdown(async move { _ = stopped.await });
    let worker = tokio::spawn(worker.into_future());
    while client.get(plain).await.unwrap().is_some() {
        tokio::task::yield_now().await;
    }
    stop.send(()).unwrap();
    worker.await.unwrap().unwrap();
    let record = tasks.get(strayed).await.unwrap().expect("it waits");
    assert_eq!((record.attempts, record.errors.len()), (0, 0));
}

#[tokio::test]
async fn who_has_the_state_in_another_wrapping_is_told_so() {
    let bare = Client::builder().state(Db).open("memory:").await.unwrap();
    let problem = problems(bare.run(needs_a_shared_db::defer()).await).remove(0);
    assert!(
        problem.ends_with("consumers::Db` in an `Arc`, or let the task take `&Db`"),
        "{problem}"
    );
    let shared = Client::builder().state(Arc::new(Db)).open("memory:").await.unwrap();
    let problem = problems(shared.run(needs_a_db::defer()).await).remove(0);
    assert!(problem.contains(": let the task take `&Arc<Db>`, or give the builder"), "{problem}");
}

#[tokio::test]
async fn who_gives_the_type_in_place_of_the_trait_object_is_told_so() {
    let concrete = Client::builder().state(Arc::new(Smtp)).open("memory:").await.unwrap();
    let problem = problems(concrete.run(needs_a_mailer::defer()).await).remove(0);
    let fix = "add `.state::<Arc<dyn Mailer + Send + Sync>>(Arc::new(..))` to its builder";
    assert!(problem.contains(fix), "{problem}");
    let mailer = Arc::new(Smtp);
    let builder = Client::builder().state::<Arc<dyn Mailer + Send + Sync>>(mailer);
    let tasks = builder.open("memory:").await.unwrap();
    assert_eq!(tasks.run(needs_a_mailer::defer()).await.unwrap(), 1);
}

#[tokio::test]
async fn a_module_that_is_compiled_twice_is_told_of_as_such() {
    let tasks = Client::builder()
        .registry(Registry::linked().in_queues(["twice"]))
        .open("memory:")
        .await
        .unwrap();
    let problems = problems(tasks.run(once::twice::defer()).await);
    assert_eq!(problems.len(), 1, "{problems:#?}");
    assert!(
        problems[0].contains("consumers/twice.rs:4:")
            && problems[0].contains("`mod ..;` in `main.rs`"),
        "{problems:#?}"
    );
    assert_eq!(twice::twice::KIND, "consumers/twice");
    assert_eq!(tasks.stats().await.unwrap().scheduled, 1);
}
