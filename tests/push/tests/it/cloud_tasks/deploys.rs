//! A check before a deploy at Google, where each task carries its schema, and bodies need a
//! permission of their own.

use std::time::Duration;

use gae_tasks::backend::{Backend, Bury, NewTask};
use gae_tasks::{DeployReport, DeployRoute, DeployVerdict, Now, QueueConfig, Registry};
use gae_tasks_tests_push::server::Fault;

use super::*;

mod before {
    use gae_tasks::deferred;

    #[deferred(name = "shop/welcome", queue = "emails")]
    pub(super) async fn numbered(name: u32) {
        _ = name;
    }

    #[deferred(name = "shop/count", queue = "default")]
    pub(super) async fn count(number: u64) {
        _ = number;
    }

    #[deferred(name = "shop/gone", queue = "default")]
    pub(super) async fn gone() {}
}

#[deferred(name = "shop/welcome", queue = "emails")]
async fn welcome(name: String) {
    _ = name;
}

#[deferred(name = "shop/count", queue = "default")]
async fn count(number: u16) {
    _ = number;
}

/// Tasks of two versions of a program. What is known about a schema is kept in the process, so a
/// test in which it must come from Google has a kind of its own.
macro_rules! versions {
    ($module:ident, $kind:literal) => {
        mod $module {
            pub(super) mod before {
                #[gae_tasks::deferred(name = $kind, queue = "default")]
                pub(in super::super) async fn count(number: u64) {
                    _ = number;
                }
            }
            #[gae_tasks::deferred(name = $kind, queue = "default")]
            pub(super) async fn count(number: u16) {
                _ = number;
            }
        }
    };
}

versions!(counts_once, "shop/counts_once");
versions!(counts_unread, "shop/counts_unread");
versions!(counts_ended, "shop/counts_ended");

/// Returns a client of the program after the deploy.
async fn after(server: &Server) -> Client {
    let backend = builder(server).build().await.unwrap();
    let registry = Registry::new().with::<welcome>().with::<count>().with::<counts_once::count>();
    let registry = registry.with::<counts_unread::count>().with::<counts_ended::count>();
    Client::builder().registry(registry).build_push(backend).unwrap()
}

fn of_kind<'a>(report: &'a DeployReport, kind: &str) -> Vec<&'a DeployRoute> {
    report.routes.iter().filter(|route| route.route.kind().as_str() == kind).collect()
}

#[tokio::test]
async fn routes_and_values_are_judged_by_the_schemas_that_travel() {
    let server = server().await;
    let tasks = after(&server).await;
    welcome::defer("you").named("one").on(&tasks).await.unwrap();
    before::numbered::defer(1).on(&tasks).await.unwrap();
    for number in [1, 2, 100_000] {
        before::count::defer(number).on(&tasks).await.unwrap();
    }
    let hour = Duration::from_secs(3600);
    before::count::defer(4).named("later").after(hour).on(&tasks).await.unwrap();
    before::gone::defer().on(&tasks).await.unwrap();
    let report = tasks.check_deploy().await.unwrap();
    assert_eq!(
        (report.stranded(), report.is_safe(), report.unread.len()),
        (3, false, 0),
        "{report}"
    );
    let counts = of_kind(&report, "shop/count");
    assert_eq!((counts.len(), &counts[0].verdict), (1, &DeployVerdict::Resolves));
    assert_eq!((counts[0].stats.due, counts[0].future()), (3, 1));
    assert_eq!((counts[0].values.read, counts[0].values.failed), (4, 1));
    let welcomes = of_kind(&report, "shop/welcome");
    assert_eq!(welcomes.len(), 2);
    let text = report.to_string();
    for part in [
        "1 `shop/welcome` (queue `emails`",
        "cannot run: parameter `name`: was a u32, is a String",
        "no task of kind `shop/gone`",
        "will run as they are; of 1 read, 0 do not fit",
    ] {
        assert!(text.contains(part), "{text}");
    }
    assert_eq!(server.tasks(PLACE, "default").len(), 5, "nothing is changed");
}

#[tokio::test]
async fn without_values_one_body_of_each_other_shape_is_read() {
    let server = server().await;
    let tasks = after(&server).await;
    welcome::defer("you").on(&tasks).await.unwrap();
    for number in [1, 2, 100_000] {
        counts_once::before::count::defer(number).on(&tasks).await.unwrap();
    }
    let report = tasks.check_deploy().values(0).await.unwrap();
    assert!(report.is_safe(), "{report}");
    assert_eq!(of_kind(&report, "shop/counts_once")[0].verdict, DeployVerdict::Resolves);
    assert!(report.routes.iter().all(|route| route.values.read == 0));
    assert_eq!(server.calls("GetTask"), 1);
    let report = tasks.check_deploy().values(2).await.unwrap();
    let read: Vec<_> = report.routes.iter().map(|route| route.values.read).collect();
    assert_eq!((read, server.calls("GetTask")), (vec![2, 1], 4));
}

#[tokio::test]
async fn a_missing_permission_to_read_bodies_is_named() {
    let server = server().await;
    let tasks = after(&server).await;
    welcome::defer("you").on(&tasks).await.unwrap();
    counts_unread::before::count::defer(1).on(&tasks).await.unwrap();
    server.fault_always("GetTask", Fault::Refuse(403));
    let report = tasks.check_deploy().await.unwrap();
    assert_eq!(of_kind(&report, "shop/welcome")[0].verdict, DeployVerdict::Runs);
    assert_eq!(of_kind(&report, "shop/counts_unread")[0].verdict, DeployVerdict::Unread);
    assert_eq!((report.stranded(), report.is_safe()), (1, false));
    let queues: Vec<_> = report.unread.iter().map(|unread| unread.queue.as_str()).collect();
    assert_eq!(queues, ["default", "emails"]);
    assert!(report.unread[0].reason.contains("`cloudtasks.tasks.fullView`"), "{report}");
    assert!(
        report
            .to_string()
            .contains("2 queues could not be read\n  queue `default` could not be read: "),
        "{report}"
    );
    // Where no values are read, bodies of the own shape are not needed.
    let report = tasks.check_deploy().values(0).await.unwrap();
    assert_eq!(report.unread.len(), 1, "{report}");
}

#[tokio::test]
async fn a_queue_that_may_not_be_read_fails_alone() {
    let server = server().await;
    let tasks = after(&server).await;
    welcome::defer("you").on(&tasks).await.unwrap();
    server.fault("ListTasks", Fault::Refuse(403));
    let report = tasks.check_deploy().await.unwrap();
    assert_eq!((report.stranded(), report.is_safe(), report.unread.len()), (0, false, 1));
    assert_eq!(report.unread[0].queue.as_str(), "default");
    assert!(report.unread[0].reason.contains("`cloudtasks.tasks.list`"), "{report}");
    assert_eq!(of_kind(&report, "shop/welcome")[0].values.read, 1);
    assert!(report.to_string().starts_with("not known to be safe: "), "{report}");
}

#[tokio::test]
async fn a_service_that_fails_meanwhile_is_an_error() {
    for call in ["ListQueues", "ListTasks", "GetTask"] {
        let server = server().await;
        let tasks = after(&server).await;
        welcome::defer("you").on(&tasks).await.unwrap();
        server.fault_always(call, Fault::Refuse(400));
        assert!(tasks.check_deploy().await.is_err(), "{call}");
    }
}

#[tokio::test]
async fn tasks_that_end_meanwhile_are_not_missed() {
    let server = server().await;
    let tasks = after(&server).await;
    counts_ended::before::count::defer(1).on(&tasks).await.unwrap();
    server.fault_always("GetTask", Fault::Refuse(404));
    let report = tasks.check_deploy().await.unwrap();
    assert!(report.is_safe() && report.routes.is_empty(), "{report}");
}

#[tokio::test]
async fn dead_letters_at_google_are_judged_and_strand_nothing() {
    let server = server().await;
    let backend = builder(&server).dead_letter_queues().build().await.unwrap();
    let registry = Registry::new().with::<count>();
    let tasks = Client::builder().registry(registry).build_push(backend).unwrap();
    tasks.put_queue("default", QueueConfig::new()).await.unwrap();
    let id = before::count::defer(100_000).on(&tasks).await.unwrap().id;
    let record = tasks.get(id).await.unwrap().unwrap();
    let task = NewTask::new(record.spec, record.payload.unwrap(), record.schema.unwrap());
    let bury = Bury::new(Now::Storage, task, 1, None, "over".to_owned());
    let same = builder(&server).dead_letter_queues().build().await.unwrap();
    same.bury(bury).await.unwrap();
    assert!(tasks.check_deploy().await.unwrap().stranded() > 0);
    tasks.purge("default").await.unwrap();
    let report = tasks.check_deploy().await.unwrap();
    let route = of_kind(&report, "shop/count")[0];
    assert_eq!(
        (route.queue.as_str(), route.stats.dead, route.values.failed_dead),
        ("default", 1, 1),
        "{report}"
    );
    assert!(report.is_safe(), "{report}");
}
