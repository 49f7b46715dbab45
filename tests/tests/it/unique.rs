//! Unique tasks, as calls and attributes say it.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use gae_tasks::testing::ManualClock;
use gae_tasks::{Client, Conflict, Error, Unique, deferred};
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Serialize, Deserialize)]
struct User {
    id: u64,
    note: Option<String>,
}

#[deferred(queue = "digests")]
async fn digest(user: User, count: u32) {
    _ = (user, count);
}

#[deferred(queue = "pages", unique_by = ["page", "lang"])]
async fn index(page: u64, #[default("en")] lang: String, reason: String) {
    _ = (page, lang, reason);
}

#[deferred(queue = "pages")]
async fn other(page: u64) {
    _ = page;
}

#[deferred(queues = ["a", "b", "c", "d"])]
async fn spread(number: u32) {
    _ = number;
}

fn user(id: u64) -> User {
    User { id, note: None }
}

async fn clients() -> Vec<(Client, Option<tempfile::TempDir>)> {
    let folder = tempfile::tempdir().unwrap();
    let file = format!("sqlite:{}", folder.path().join("tasks.db").display());
    let open = async |url: &str| {
        let builder = Client::builder().registry(crate::tasks_of(module_path!()));
        builder.open(url).await.unwrap()
    };
    vec![(open("memory:").await, None), (open(&file).await, Some(folder))]
}

#[tokio::test]
async fn a_call_is_unique_by_the_values_of_its_args() {
    for (tasks, _folder) in clients().await {
        let call = |id, count| digest::defer(user(id), count).unique(Unique::by_args()).on(&tasks);
        let first = call(1, 1).await.unwrap();
        assert_eq!((first.created, first.conflict), (true, None));
        let again = call(1, 1).await.unwrap();
        assert_eq!((again.id, again.conflict), (first.id, Some(Conflict::Kept)));
        assert!(call(1, 2).await.unwrap().created && call(2, 1).await.unwrap().created);
        // A call that is not unique has no key.
        assert!(digest::defer(user(1), 1).on(&tasks).await.unwrap().created);
    }
}

#[tokio::test]
async fn a_call_is_unique_by_chosen_parameters_or_a_text() {
    for (tasks, _folder) in clients().await {
        let by_user = Unique::by(["user"]);
        let first = digest::defer(user(1), 1).unique(by_user.clone()).on(&tasks).await.unwrap();
        let again = digest::defer(user(1), 2).unique(by_user).on(&tasks).await.unwrap();
        assert_eq!((again.id, again.created), (first.id, false));
        let text = || Unique::by_key("customer-7");
        let first = digest::defer(user(1), 1).unique(text()).on(&tasks).await.unwrap();
        let again = digest::defer(user(2), 2).unique(text()).on(&tasks).await.unwrap();
        assert_eq!((again.id, again.created), (first.id, false));
        // A key belongs to the kind, and to the queue.
        let other = other::defer(1).queue("digests").unique(text()).on(&tasks).await.unwrap();
        let elsewhere = digest::defer(user(1), 1).queue("pages").unique(text());
        assert!(other.created && elsewhere.on(&tasks).await.unwrap().created);
    }
}

#[tokio::test]
async fn an_attribute_makes_every_call_unique() {
    for (tasks, _folder) in clients().await {
        let first = index::defer(7, "en", "edited").on(&tasks).await.unwrap();
        let again = index::defer(7, "en", "linked").on(&tasks).await.unwrap();
        assert_eq!((again.id, again.created), (first.id, false));
        assert!(index::defer(7, "fr", "edited").on(&tasks).await.unwrap().created);
        // A name says more, and `by_args` is by what the attribute names.
        let named = index::defer(7, "en", "edited").named("page-7").on(&tasks).await.unwrap();
        assert!(named.created);
        let replaced = index::defer(7, "en", "x").unique(Unique::by_args().replace_args());
        let replaced = replaced.on(&tasks).await.unwrap();
        assert_eq!((replaced.created, replaced.conflict), (true, Some(Conflict::Replaced)));
        assert!(tasks.get(first.id).await.unwrap().is_none());
    }
}

#[tokio::test]
async fn a_debounced_call_waits_for_the_last_one() {
    let clock = ManualClock::new();
    let builder = Client::builder().registry(crate::tasks_of(module_path!()));
    let tasks = builder.clock(clock.clone()).open("memory:").await.unwrap();
    let pause = Unique::by(["user"]).debounce(Duration::from_secs(60));
    let pause = pause.longest_wait(Duration::from_secs(100));
    let call = || digest::defer(user(1), 1).unique(pause.clone()).on(&tasks);
    let first = call().await.unwrap();
    let due = async || tasks.get(first.id).await.unwrap().unwrap().schedule_time;
    let begun = due().await;
    clock.advance(Duration::from_secs(30));
    let again = call().await.unwrap();
    assert_eq!((again.id, again.conflict), (first.id, Some(Conflict::Rescheduled)));
    assert_eq!(due().await.since(begun), Duration::from_secs(30));
    clock.advance(Duration::from_secs(30));
    call().await.unwrap();
    assert_eq!(due().await.since(begun), Duration::from_secs(40), "the longest wait");
}

#[tokio::test]
async fn all_calls_of_a_key_go_to_one_queue() {
    let tasks = Client::open("memory:").await.unwrap();
    for number in 0..8 {
        let call = || spread::defer(number).unique(Unique::by_args()).on(&tasks);
        let first = call().await.unwrap();
        for _ in 0..4 {
            assert_eq!(call().await.unwrap().id, first.id);
        }
    }
}

#[tokio::test]
async fn options_that_exclude_each_other_are_refused_by_name() {
    let tasks = Client::open("memory:").await.unwrap();
    let call = || digest::defer(user(1), 1).unique(Unique::by_args()).on(&tasks);
    let pause = Unique::by_args().debounce(Duration::from_secs(1));
    let refused = [
        (call().named("n").await, "`.unique(..)` of"),
        (call().must_be_new().await, "`.must_be_new()` of"),
        (call().unique(pause).after(Duration::from_secs(9)).await, "`.debounce(..)` of"),
        (call().unique(Unique::by(["usr"])).await, "no parameter `usr`"),
    ];
    for (answer, text) in refused {
        let error = answer.unwrap_err().to_string();
        assert!(error.contains(text), "{error}");
    }
    assert_eq!(tasks.stats().await.unwrap().open(), 0);
}

#[derive(Clone, Default)]
struct Ran(Arc<Mutex<Vec<u32>>>);

#[deferred(queue = "chained")]
async fn chain(number: u32, #[state] ran: &Ran) -> Result<(), Error> {
    ran.0.lock().unwrap().push(number);
    if number < 3 {
        // The one that runs does not block the one that it defers behind itself.
        let next = chain::defer(number + 1).unique(Unique::by_key("chain").behind()).await?;
        assert_eq!(next.conflict, (number > 0).then_some(Conflict::Behind));
        let more = chain::defer(9).unique(Unique::by_key("chain").behind()).await?;
        assert_eq!((more.id, more.created), (next.id, false));
        let held = chain::defer(9).unique(Unique::by_key("chain").replace_schedule()).await?;
        assert_eq!(held.id, next.id);
    }
    Ok(())
}

#[tokio::test]
async fn a_handler_defers_the_next_one_behind_itself() {
    let ran = Ran::default();
    let builder = Client::builder().registry(crate::tasks_of(module_path!())).state(ran.clone());
    let tasks = builder.open("memory:").await.unwrap();
    chain::defer(0).on(&tasks).await.unwrap();
    tasks.drain().await.unwrap();
    assert_eq!(*ran.0.lock().unwrap(), [0, 1, 2, 3]);
    let stats = tasks.stats().await.unwrap();
    assert_eq!((stats.open(), stats.dead), (0, 0));
}
