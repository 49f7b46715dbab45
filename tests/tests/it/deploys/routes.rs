//! What becomes of the tasks of each route, with their states counted apart.

use std::time::Duration;

use gae_tasks::backend::{Backend, Enqueue, NewTask};
use gae_tasks::{Client, DeployVerdict, Now, Registry, Task, TaskFilter, deferred};
use serde::{Deserialize, Serialize};

use super::{Stage, only, stages};

mod before {
    use gae_tasks::deferred;

    #[deferred(name = "shop.emails/send_welcome", queue = "emails")]
    pub(super) async fn send_welcome(user_id: u32) {
        _ = user_id;
    }

    #[deferred(name = "shop.emails/gone", queue = "emails")]
    pub(super) async fn gone() {}
}

mod long_before {
    #[gae_tasks::deferred(name = "shop.emails/send_welcome", queue = "emails")]
    pub(super) async fn send_welcome(user_id: String) {
        _ = user_id;
    }
}

#[deferred(name = "shop.emails/send_welcome", queue = "emails")]
async fn send_welcome(user_id: u64) {
    _ = user_id;
}

fn after() -> Registry {
    Registry::new().with::<send_welcome>()
}

#[tokio::test]
async fn nothing_that_is_stored_is_safe() {
    for stage in stages().await {
        let report = stage.check(after()).await;
        assert!(report.is_safe() && report.routes.is_empty());
        assert_eq!(report.to_string(), "safe to deploy: no task waits");
    }
}

/// Stores one task of each state, beside two that are due.
async fn store_each(stage: &Stage) {
    for id in 0..4 {
        before::send_welcome::defer(id).on(&stage.before).await.unwrap();
    }
    let hour = Duration::from_secs(3600);
    before::send_welcome::defer(4).after(hour).on(&stage.before).await.unwrap();
    stage.bury("emails", 1).await;
    stage.lease("emails", 1).await;
}

#[tokio::test]
async fn tasks_of_another_shape_are_resolved_and_counted_by_state() {
    for stage in stages().await {
        store_each(&stage).await;
        let report = stage.check(after()).await;
        let route = only(&report);
        assert_eq!(route.verdict, DeployVerdict::Resolves);
        let stats = route.stats;
        assert_eq!((stats.due, route.future(), stats.leased, stats.dead), (2, 1, 1, 1));
        assert_eq!((route.values.read, route.values.failed, route.values.failed_dead), (5, 0, 0));
        assert!(report.is_safe());
        assert_eq!(report.stranded(), 0);
        let shape = before::send_welcome::registration().shape().unwrap();
        assert_eq!(
            report.to_string(),
            format!(
                "safe to deploy: 4 waiting or leased tasks will run; 4 resolved by name; 1 dead; \
                 5 payloads read\n  \
                 4 `shop.emails/send_welcome` of another shape (queue `emails`, shape {shape}, 2 \
                 due, 1 in the future, \
                 1 leased, 1 dead) will be resolved by name; of 5 read, 0 do not fit"
            )
        );
    }
}

#[tokio::test]
async fn tasks_of_the_own_shape_run_as_they_are() {
    for stage in stages().await {
        send_welcome::defer(1).on(&stage.before).await.unwrap();
        let report = stage.check(after()).await;
        assert_eq!(only(&report).verdict, DeployVerdict::Runs);
        let text = report.to_string();
        assert!(text.starts_with("safe to deploy: 1 waiting or leased task will run; "), "{text}");
        assert!(text.contains("will run as they are; of 1 read, 0 do not fit"), "{text}");
    }
}

#[tokio::test]
async fn what_differs_is_stranded_with_the_reason_and_shown_first() {
    for stage in stages().await {
        for id in 0..3 {
            before::send_welcome::defer(id).on(&stage.before).await.unwrap();
        }
        for _ in 0..2 {
            long_before::send_welcome::defer("secret").on(&stage.before).await.unwrap();
        }
        let report = stage.check(after()).await;
        assert_eq!((report.routes.len(), report.stranded(), report.is_safe()), (2, 2, false));
        let text = report.to_string();
        let lines: Vec<_> = text.lines().collect();
        assert!(
            lines[0]
                .starts_with("not safe to deploy: of 5 waiting or leased tasks, 2 will not run"),
            "{text}"
        );
        let reason = "cannot run: parameter `user_id`: was a String, is a u64";
        assert!(
            lines[1].starts_with("  2 `shop.emails/send_welcome`") && lines[1].ends_with(reason),
            "{text}"
        );
        assert!(lines[2].contains("will be resolved by name; of 3 read"), "{text}");
        assert!(!text.contains("secret"));
    }
}

#[tokio::test]
async fn a_kind_that_is_gone_is_stranded() {
    for stage in stages().await {
        before::gone::defer().on(&stage.before).await.unwrap();
        let report = stage.check(after()).await;
        let DeployVerdict::Strands { reason } = &only(&report).verdict else { panic!("{report}") };
        let expected = "no task of kind `shop.emails/gone` is registered in this program";
        assert!(reason.starts_with(expected), "{reason}");
        assert_eq!(report.stranded(), 1);
    }
}

#[tokio::test]
async fn dead_letters_that_cannot_run_are_shown_and_strand_nothing() {
    for stage in stages().await {
        before::gone::defer().on(&stage.before).await.unwrap();
        stage.bury("emails", 1).await;
        let report = stage.check(after()).await;
        assert!(matches!(only(&report).verdict, DeployVerdict::Strands { .. }));
        assert!(report.is_safe());
        let text = report.to_string();
        assert!(
            text.starts_with(
                "safe to deploy: no task waits; 1 dead\n  1 dead letter of `shop.emails/gone`"
            ),
            "{text}"
        );
        assert!(text.contains("if replayed, cannot run: no task of kind"), "{text}");
    }
}

#[tokio::test]
async fn a_task_of_an_alias_is_judged_by_its_function() {
    #[deferred(
        name = "shop.emails/welcome",
        alias = ["shop.emails/send_welcome"],
        queue = "emails"
    )]
    async fn welcome(user_id: u64) {
        _ = user_id;
    }
    for stage in stages().await {
        before::send_welcome::defer(1).on(&stage.before).await.unwrap();
        let report = stage.check(Registry::new().with::<welcome>()).await;
        assert_eq!(only(&report).verdict, DeployVerdict::Resolves);
    }
}

#[tokio::test]
async fn what_a_newer_version_stored_is_stranded_apart_from_the_rest() {
    for stage in stages().await {
        let id = send_welcome::defer(1).on(&stage.before).await.unwrap().id;
        let stored = stage.backend.get(id).await.unwrap().unwrap();
        stage.before.delete(id).await.unwrap();
        send_welcome::defer(2).on(&stage.before).await.unwrap();
        let (mut spec, payload) = (stored.spec, stored.payload.unwrap());
        spec.attributes = Some(vec![u8::MAX]);
        let newer = NewTask::new(spec, payload, []);
        stage.backend.enqueue(Enqueue::new(Now::Storage, vec![newer])).await.unwrap();
        let report = stage.check(after()).await;
        assert_eq!((report.routes.len(), report.stranded()), (2, 1), "{report}");
        let is_newer = |verdict: &DeployVerdict| match verdict {
            DeployVerdict::Strands { reason } => reason.contains("newer version"),
            _ => false,
        };
        let newer: Vec<_> = report.routes.iter().filter(|route| is_newer(&route.verdict)).collect();
        assert_eq!((newer.len(), newer[0].values.read), (1, 0));
        let runs = report.routes.iter().find(|route| route.verdict == DeployVerdict::Runs).unwrap();
        assert_eq!(runs.values.read, 1);
    }
}

#[tokio::test]
async fn a_function_whose_state_is_missing_runs_nothing() {
    #[derive(Debug)]
    struct Mailer;
    #[deferred(queue = "emails")]
    async fn mail(user_id: u64, #[state] mailer: &Mailer) {
        _ = (user_id, mailer);
    }
    for stage in stages().await {
        mail::defer(1).on(&stage.before).await.unwrap();
        let report = stage.check(Registry::new().with::<mail>()).await;
        let DeployVerdict::Strands { reason } = &only(&report).verdict else { panic!("{report}") };
        assert!(reason.contains("Mailer") && reason.contains("add `.state(..)`"), "{reason}");
        let registry = Registry::new().with::<mail>();
        let builder = Client::builder().registry(registry).state(Mailer);
        let with_state = builder.build(std::sync::Arc::clone(&stage.backend)).unwrap();
        assert!(with_state.check_deploy().await.unwrap().is_safe());
    }
}

#[derive(Serialize, Deserialize)]
struct Old {
    user_id: String,
}

fn from_old(old: Old) -> Result<UpgradedArgs, std::num::ParseIntError> {
    Ok(UpgradedArgs { user_id: old.user_id.parse()? })
}

#[deferred(
    name = "shop.emails/send_welcome",
    queue = "emails",
    args = UpgradedArgs,
    upgrade = [from_old]
)]
async fn upgraded(user_id: u64) {
    _ = user_id;
}

#[tokio::test]
async fn an_upgrade_is_named_and_may_refuse_values() {
    for stage in stages().await {
        for id in ["1", "2", "three", "4"] {
            long_before::send_welcome::defer(id).on(&stage.before).await.unwrap();
        }
        let report = stage.check(Registry::new().with::<upgraded>()).await;
        let route = only(&report);
        assert_eq!(route.verdict, DeployVerdict::Upgrades { upgrade: "from_old", by_name: false });
        assert_eq!((route.values.read, route.values.failed, report.stranded()), (4, 1, 1));
        assert_eq!(
            route.values.reasons,
            [("the upgrade `from_old` refuses the value".to_owned(), 1)]
        );
        let text = report.to_string();
        assert!(
            text.contains(
                "will go through the upgrade `from_old`; of 4 read, 1 does not fit: the upgrade"
            ),
            "{text}"
        );
        assert!(!text.contains("three"));
    }
}

#[tokio::test]
async fn queues_are_judged_apart_and_in_order() {
    for stage in stages().await {
        for queue in ["b", "a"] {
            before::send_welcome::defer(1).queue(queue).on(&stage.before).await.unwrap();
            send_welcome::defer(1).queue(queue).on(&stage.before).await.unwrap();
        }
        let report = stage.check(after()).await;
        let queues: Vec<_> = report.routes.iter().map(|route| route.queue.as_str()).collect();
        assert_eq!(queues, ["a", "a", "b", "b"]);
        assert!(report.routes.iter().all(|route| route.values.read == 1));
    }
}

#[tokio::test]
async fn a_check_changes_nothing() {
    for stage in stages().await {
        store_each(&stage).await;
        long_before::send_welcome::defer("x").on(&stage.before).await.unwrap();
        let state = async || {
            let page = stage.before.list(TaskFilter::new(), None, 100).with_payloads().await;
            (
                page.unwrap(),
                stage.before.stats_by_route().await.unwrap(),
                stage.before.queues().await.unwrap(),
            )
        };
        let was = state().await;
        let after = stage.after(after());
        assert_eq!(after.check_deploy().await.unwrap(), after.check_deploy().await.unwrap());
        assert_eq!(state().await, was);
    }
}
