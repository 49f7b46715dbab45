//! Tasks that a transaction of the application holds, as `complete_in` does, and leases that
//! somebody is just ending.

use std::time::{Duration, Instant};

use gae_tasks::backend::{Settled, Verdict};

use crate::stage::{Stage, completed, done, end, retry};

/// The statement by which a transaction completes the first task.
const COMPLETE: &str = "DELETE FROM gae_tasks.task WHERE id = \
                        '00000000-0000-0000-0000-000000000001'";

/// A stage with three leased tasks, of which a transaction completes the first.
macro_rules! three {
    ($stage:ident, $leases:ident, $holder:ident) => {
        let $stage = Stage::new().await;
        $stage.store("q", 1..4).await;
        let $leases = $stage.leases(10).await;
        let $holder = $stage.transaction(COMPLETE).await;
    };
}

#[tokio::test]
async fn a_completed_task_is_done_once_its_transaction_commits() {
    three!(stage, leases, holder);
    let settlements = vec![completed(leases[0]), done(leases[1]), done(leases[2])];
    let (settled, ()) = tokio::join!(stage.settle_all(settlements), async {
        // The outcomes of the others are recorded meanwhile.
        while stage.count("task").await > 1 {
            tokio::task::yield_now().await;
        }
        end(holder, "COMMIT").await;
    });
    assert_eq!(settled, [Settled::Done; 3]);
    assert_eq!([stage.count("task").await, stage.count("lease").await], [0, 0]);
}

#[tokio::test]
async fn a_completed_task_is_retried_once_its_transaction_is_rolled_back() {
    three!(stage, leases, holder);
    let (settled, ()) = tokio::join!(stage.settle_all(vec![completed(leases[0])]), async {
        tokio::time::sleep(Duration::from_millis(50)).await;
        end(holder, "ROLLBACK").await;
    });
    assert!(matches!(settled[..], [Settled::Scheduled(_)]), "{settled:?}");
    assert_eq!([stage.count("task").await, stage.count("waiting").await], [3, 1]);
}

#[tokio::test]
async fn a_transaction_that_stays_open_delays_the_answer_for_a_moment_only() {
    three!(stage, leases, holder);
    let begun = Instant::now();
    let settled = stage.settle(vec![completed(leases[0]), done(leases[1])]).await;
    assert_eq!(settled, [Settled::Locked, Settled::Done]);
    assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
    assert_eq!(stage.extend(vec![leases[0]]).await, [true], "its lease is still held");
    end(holder, "ROLLBACK").await;
    let settled = stage.settle(vec![completed(leases[0])]).await;
    assert!(matches!(settled[..], [Settled::Scheduled(_)]), "{settled:?}");
}

#[tokio::test]
async fn a_task_that_is_done_while_its_row_is_locked_delays_the_others_for_a_moment_only() {
    let stage = Stage::new().await;
    stage.store("q", 1..3).await;
    let leases = stage.leases(10).await;
    let lock = "SELECT FROM gae_tasks.task WHERE id = '00000000-0000-0000-0000-000000000001' FOR \
                UPDATE";
    let holder = stage.transaction(lock).await;
    let both = stage.settle(vec![done(leases[0]), done(leases[1])]);
    let settled = tokio::time::timeout(Duration::from_secs(2), both).await;
    assert_eq!(settled.expect("the lock is waited for"), [Settled::Locked, Settled::Done]);
    end(holder, "ROLLBACK").await;
    assert_eq!(stage.settle(vec![done(leases[0])]).await, [Settled::Done]);
}

#[tokio::test]
async fn a_lease_that_was_lost_is_not_waited_for_although_its_task_is_locked() {
    let stage = Stage::new().await;
    stage.store("q", 1..2).await;
    let late = stage.leases(10).await;
    assert_eq!(stage.sweep().await.recovered, 1);
    let leases = stage.leases(10).await;
    // The attempt under the second lease completes its task.
    let holder = stage.transaction(COMPLETE).await;
    let settled = stage.settle(vec![completed(late[0]), completed(leases[0])]).await;
    assert_eq!(settled, [Settled::LeaseLost, Settled::Locked]);
    end(holder, "COMMIT").await;
    assert_eq!(stage.settle(vec![completed(leases[0])]).await, [Settled::Done]);
}

#[tokio::test]
async fn a_lease_of_a_held_task_is_extended_and_not_recovered() {
    three!(stage, leases, holder);
    assert_eq!(stage.extend(leases.clone()).await, [true; 3]);
    let swept = stage.sweep().await;
    assert_eq!((swept.recovered, swept.held.len()), (2, 1));
    end(holder, "COMMIT").await;
    let swept = stage.sweep().await;
    assert_eq!((swept.recovered, swept.held.len()), (0, 0), "a completed task is over");
}

#[tokio::test]
async fn a_lease_that_is_just_ended_is_not_extended() {
    let stage = Stage::new().await;
    stage.store("q", 1..3).await;
    let leases = stage.leases(10).await;
    let ending = "DELETE FROM gae_tasks.lease WHERE task::text LIKE '%1'";
    let ending = stage.transaction(ending).await;
    let (extended, ()) = tokio::join!(stage.extend(leases), async {
        stage.blocked().await;
        end(ending, "COMMIT").await;
    });
    assert_eq!(extended, [false, true]);
}

#[tokio::test]
async fn a_waiting_task_that_is_held_is_passed_over_and_looked_for_soon() {
    let stage = Stage::new().await;
    stage.store("q", 1..4).await;
    let first = "SELECT FROM gae_tasks.waiting ORDER BY due, task LIMIT 1 FOR UPDATE";
    let holder = stage.transaction(first).await;
    assert_eq!(stage.lease(10).await.tasks.len(), 2);
    let leased = stage.lease(10).await;
    assert_eq!(leased.tasks.len(), 0);
    assert!(leased.next.is_some_and(|next| next < Duration::from_secs(1)), "{:?}", leased.next);
    end(holder, "ROLLBACK").await;
    assert_eq!(stage.lease(10).await.tasks.len(), 1);
}

#[tokio::test]
async fn of_several_verdicts_only_those_of_free_tasks_are_recorded_at_first() {
    three!(stage, leases, holder);
    let mut settlements = vec![completed(leases[0]), done(leases[1]), done(leases[2])];
    settlements[1].verdict = retry();
    settlements[2].verdict = Verdict::Release;
    let (settled, ()) = tokio::join!(stage.settle_all(settlements), async {
        while stage.count("waiting").await < 2 {
            tokio::task::yield_now().await;
        }
        end(holder, "COMMIT").await;
    });
    assert!(matches!(settled[..], [Settled::Done, Settled::Scheduled(_), Settled::Scheduled(_)]));
}
