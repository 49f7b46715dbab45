//! Pages of thousands of tasks.

use gae_tasks::backend::{Backend, List, TaskFilter, TaskState};
use gae_tasks::{Kind, TaskId};

use crate::stage::{Stage, id, queue};

async fn pages(stage: &Stage, list: List) -> Vec<TaskId> {
    let (mut all, mut after) = (Vec::new(), None);
    loop {
        let page = stage.backend.list(list.clone().after(after)).await.unwrap();
        all.extend(page.iter().map(|record| record.spec.id));
        if page.len() < list.limit {
            return all;
        }
        after = page.last().map(|record| record.spec.id);
    }
}

#[tokio::test]
async fn ten_thousand_tasks_are_listed_exactly_once() {
    let stage = Stage::new().await;
    let lane = stage.lane("q", "a/b").await;
    stage.store(lane, 0..10_100).await;
    let mut expected: Vec<_> = (0..10_100).map(id).collect();
    assert_eq!(pages(&stage, List::new(TaskFilter::new(), 333)).await, expected);
    assert_eq!(pages(&stage, List::new(TaskFilter::new(), usize::MAX)).await, expected);
    expected.reverse();
    assert_eq!(pages(&stage, List::new(TaskFilter::new(), 1_234).newest_first()).await, expected);
}

#[tokio::test]
async fn filters_select_exactly_what_is_meant_across_pages() {
    let stage = Stage::new().await;
    let (one, two) = (stage.lane("one", "a/b").await, stage.lane("two", "a/c").await);
    stage.store(one, 0..2_000).await;
    stage.store(two, 2_000..4_000).await;
    stage.lease(1_990..2_010).await;
    stage.kill(3_000..3_500).await;
    let count = async |filter: TaskFilter| pages(&stage, List::new(filter, 100)).await;
    let all = TaskFilter::new;
    assert_eq!(count(all().queue(queue("two"))).await.len(), 2_000);
    assert_eq!(count(all().kind(Kind::new("a/b").unwrap())).await.len(), 2_000);
    assert_eq!(count(all().state(TaskState::Scheduled)).await.len(), 3_480);
    let leased = all().state(TaskState::Leased);
    assert_eq!(count(leased.clone()).await, (1_990..2_010).map(id).collect::<Vec<_>>());
    assert_eq!(count(leased.queue(queue("one"))).await, (1_990..2_000).map(id).collect::<Vec<_>>());
    let dead = all().state(TaskState::Dead);
    assert_eq!(count(dead.clone()).await, (3_000..3_500).map(id).collect::<Vec<_>>());
    assert_eq!(count(dead.queue(queue("one"))).await, []);
}

#[tokio::test]
async fn which_of_many_ids_are_stored_is_known_in_their_order() {
    let stage = Stage::new().await;
    let lane = stage.lane("q", "a/b").await;
    stage.store(lane, 0..3_000).await;
    stage.kill(10..20).await;
    let asked: Vec<_> = (0..6_000).rev().map(id).collect();
    let expected: Vec<_> = (0..3_000).rev().map(id).collect();
    assert_eq!(stage.backend.stored(asked).await.unwrap(), expected);
}
