//! Queues that several programs configure.

use std::time::Duration;

use gae_tasks::backend::{Backend, ReplaceQueue};
use gae_tasks::{Client, Error, QueueConfig, Registry, Retention};

use crate::stage::{Stage, queue};

const CHANGES: &str = "SELECT queue_changes FROM gae_tasks.version";

#[tokio::test]
async fn programs_that_configure_a_new_queue_at_once_both_have_their_say() {
    let stage = Stage::new().await;
    let other = stage.other().await;
    let (hour, day) = (Duration::from_secs(3_600), Duration::from_secs(86_400));
    for round in 0..20 {
        let name = queue(&format!("q{round}"));
        let (one, two) = tokio::join!(
            stage
                .backend
                .put_queue(name.clone(), QueueConfig::new().with_tombstone_retention(hour)),
            other.put_queue(name.clone(), QueueConfig::new().with_dead_letter_retention(day)),
        );
        one.unwrap();
        two.unwrap();
        let queues = stage.backend.queues().await.unwrap();
        let config = queues.into_iter().find(|of| of.name == name).unwrap().config.unwrap();
        assert_eq!((config.tombstone_retention(), config.dead_letter_retention()), (hour, day));
    }
}

#[tokio::test]
async fn a_configuration_of_a_newer_program_is_kept_and_a_damaged_one_replaced() {
    let stage = Stage::new().await;
    stage.backend.put_queue(queue("q"), QueueConfig::new()).await.unwrap();
    let is =
        |config: &str| format!("SELECT count(*) FROM gae_tasks.queue WHERE config = '{config}'");
    for config in ["\\x0207", "\\x0107"] {
        stage.execute(&format!("UPDATE gae_tasks.queue SET config = '{config}'")).await;
        assert_eq!(stage.backend.queues().await.unwrap()[0].config, None);
        stage.backend.raise_retention(queue("q"), Retention::new()).await.unwrap();
        assert_eq!(stage.number(&is(config)).await, 1, "{config}");
        let put = stage.backend.put_queue(queue("q"), QueueConfig::new()).await;
        match config {
            "\\x0207" => assert!(matches!(put, Err(Error::NewerQueue { .. })), "{put:?}"),
            _ => assert_eq!((put.unwrap(), stage.number(&is(config)).await), ((), 0)),
        }
    }
}

#[tokio::test]
async fn a_plan_reports_what_a_newer_program_configured_and_leaves_it_alone() {
    let stage = Stage::new().await;
    stage.backend.put_queue(queue("q"), QueueConfig::new()).await.unwrap();
    stage.execute("UPDATE gae_tasks.queue SET config = '\\x0207'").await;
    let builder = Client::builder().registry(Registry::new());
    let client = builder.build(stage.other().await).unwrap();
    let slow = QueueConfig::new().with_max_dispatches_per_second(1.0);
    let plan = client.plan_queues([("q", slow.clone())]).await.unwrap();
    assert!(plan.is_empty() && plan.to_string().contains("not readable, and kept: `q`"), "{plan}");
    plan.apply().await.unwrap();
    let kept = "SELECT count(*) FROM gae_tasks.queue WHERE config = '\\x0207'";
    assert_eq!(stage.number(kept).await, 1);
    let replaced = stage.backend.replace_queue(ReplaceQueue::new(queue("q"), slow)).await;
    assert!(matches!(replaced, Err(Error::NewerQueue { .. })), "{replaced:?}");
}

#[tokio::test]
async fn what_changes_nothing_has_no_program_read_the_queues_again() {
    let stage = Stage::new().await;
    let config = QueueConfig::new().with_tombstone_retention(Duration::from_secs(60));
    stage.backend.put_queue(queue("q"), config.clone()).await.unwrap();
    let before = stage.number(CHANGES).await;
    stage.backend.put_queue(queue("q"), config).await.unwrap();
    assert_eq!(stage.number(CHANGES).await, before);
    stage.backend.set_paused(queue("q"), true).await.unwrap();
    assert_eq!(stage.number(CHANGES).await, before + 1);
}
