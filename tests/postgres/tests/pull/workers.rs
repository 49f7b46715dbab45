//! Workers of several processes that lease from the same queues.

use std::collections::HashSet;
use std::sync::Arc;

use gae_tasks::backend::postgres::Postgres;
use gae_tasks::backend::{Pull, Settle};
use gae_tasks::{Now, TaskId};
use tokio::task::JoinSet;

use crate::stage::{Stage, done, leasing};

/// Leases and settles until nothing is left.
async fn work(backend: Arc<Postgres>, room: usize) -> Vec<TaskId> {
    let (mut done_by_me, request) = (Vec::new(), leasing(["q", "r", "s"], room));
    loop {
        let leased = backend.lease(request.clone()).await.expect("the server answers");
        if leased.tasks.is_empty() && leased.next.is_none() {
            return done_by_me;
        }
        let settlements: Vec<_> = leased.tasks.iter().map(|task| done(task.lease)).collect();
        done_by_me.extend(leased.tasks.iter().map(|task| task.lease.id));
        backend.settle(Settle::new(Now::Storage, settlements)).await.expect("the server answers");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_task_is_done_twice_and_none_is_left() {
    let stage = Stage::new().await;
    for (number, queue) in (0..3).zip(["q", "r", "s"]) {
        stage.store(queue, number * 1_000..number * 1_000 + 1_000).await;
    }
    let mut workers = JoinSet::new();
    for process in 0..4 {
        let backend = Postgres::open(&stage.database.url()).await.expect("it opens");
        let backend = Arc::new(backend);
        for worker in 0..2 {
            workers.spawn(work(Arc::clone(&backend), 7 + 13 * (process + worker)));
        }
    }
    let all: Vec<_> = workers.join_all().await.into_iter().flatten().collect();
    assert_eq!(all.len(), 3_000);
    assert_eq!(all.into_iter().collect::<HashSet<_>>().len(), 3_000);
    assert_eq!([stage.count("task").await, stage.count("lease").await], [0, 0]);
}
