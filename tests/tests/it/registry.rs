//! The tasks that a program knows, and the errors about tasks that it does not know.

use gae_tasks::{Client, Error, Registry, Task, deferred};

gae_tasks::link!(gae_tasks_tests_linked);

#[deferred(queue = "emails")]
async fn send_welcome(_: u64) {}

#[deferred(queues = ["reports", "reports-2"], name = "billing/report", alias = ["old/report"])]
fn report(_: u64) {}

mod first {
    #[gae_tasks::deferred(queue = "twins", name = "twins/one")]
    pub(super) async fn one() {}
}

mod second {
    #[gae_tasks::deferred(queue = "twins", name = "twins/one")]
    pub(super) async fn one() {}
}

/// An application's own slice, with a name that the library might use.
#[linkme::distributed_slice]
static REGISTRATIONS: [u8];

fn kinds() -> Vec<&'static str> {
    Registry::linked().kinds().collect()
}

#[test]
fn a_slice_of_the_program_is_no_slice_of_the_library() {
    assert!(REGISTRATIONS.is_empty());
    assert!(kinds().contains(&send_welcome::KIND));
}

#[test]
fn a_kind_is_the_module_path_and_the_name() {
    assert_eq!(send_welcome::KIND, "it.registry/send_welcome");
    assert_eq!(first::one::KIND, "twins/one");
    assert_eq!((report::QUEUE, report::QUEUES), ("reports", &["reports", "reports-2"][..]));
}

#[test]
fn tasks_of_a_crate_named_in_link_are_known() {
    assert!(kinds().contains(&"gae_tasks_tests_linked.reports/write_report"), "{:?}", kinds());
}

#[test]
fn tasks_of_a_crate_that_is_barely_touched_are_known() {
    assert_eq!(gae_tasks_tests_touched::GREETING, "hello");
    assert!(kinds().contains(&"gae_tasks_tests_touched/nobody_mentions_me"), "{:?}", kinds());
}

#[test]
fn a_chosen_set_holds_what_was_chosen() {
    let chosen = Registry::new().with::<send_welcome>().with::<report>().with::<send_welcome>();
    assert_eq!(chosen.kinds().collect::<Vec<_>>(), ["it.registry/send_welcome", "billing/report"]);
}

#[test]
fn a_subset_is_taken_by_queue_or_kind() {
    assert_eq!(
        Registry::linked().in_queues(["reports-2"]).kinds().collect::<Vec<_>>(),
        ["billing/report"]
    );
    assert_eq!(Registry::linked().of_kinds(["billing/report"]).kinds().count(), 1);
}

async fn problems(registry: Registry) -> String {
    let tasks = Client::builder().registry(registry).open("memory:").await.unwrap();
    match tasks.worker().with_graceful_shutdown(async {}).await {
        Err(Error::Misconfigured { problems, .. }) => problems.join("\n"),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn two_tasks_of_one_kind_are_reported_with_both_places() {
    let text = problems(Registry::linked().of_kinds(["twins/one"])).await;
    assert_eq!(text.matches("registry.rs:").count(), 2, "{text}");
    assert!(
        text.contains("two tasks have the kind `twins/one`") && text.contains("`name = \"..\"`"),
        "{text}"
    );
}

#[tokio::test]
async fn a_task_that_is_its_own_alias_is_told_so() {
    #[deferred(queue = "self", alias = ["it.registry/renamed_and_back"])]
    async fn renamed_and_back() {}
    let text = problems(Registry::new().with::<renamed_and_back>()).await;
    assert!(text.contains("has its own kind as an alias: remove the alias"), "{text}");
}

#[tokio::test]
async fn a_task_runs_under_its_alias() {
    // Deferred by a program from before the function was renamed.
    mod before {
        #[gae_tasks::deferred(name = "old/report", queue = "reports")]
        pub(super) fn report(_: u64) {}
    }
    let now =
        Client::builder().registry(Registry::new().with::<report>()).open("memory:").await.unwrap();
    before::report::defer(1).on(&now).await.unwrap();
    assert_eq!(now.stats_of::<report>().await.unwrap().scheduled, 1);
    assert_eq!(now.unroutable().await.unwrap(), []);
    assert_eq!(now.drain().await.unwrap(), 1);
}

#[tokio::test]
async fn a_task_that_no_function_here_can_run_waits_and_is_told_of() {
    let now =
        Client::builder().registry(Registry::new().with::<report>()).open("memory:").await.unwrap();
    send_welcome::defer(1).on(&now).await.unwrap();
    assert_eq!(now.drain().await.unwrap(), 0);
    let lines = now.unroutable().await.unwrap();
    assert_eq!((lines.len(), lines[0].route.kind().as_str()), (1, "it.registry/send_welcome"));
    assert_eq!(now.stats().await.unwrap().scheduled, 1, "the task is not dropped");
}

#[tokio::test]
async fn a_payload_of_other_parameters_is_never_run() {
    mod before {
        #[gae_tasks::deferred(name = "it.registry/send_welcome", queue = "emails")]
        pub(super) async fn send_welcome(_: u64, _: bool) {}
    }
    let now = Client::builder()
        .registry(Registry::new().with::<send_welcome>())
        .open("memory:")
        .await
        .unwrap();
    before::send_welcome::defer(1, true).on(&now).await.unwrap();
    assert_eq!(now.drain().await.unwrap(), 0);
    assert_eq!(now.unroutable().await.unwrap()[0].stats.scheduled, 1);
}
