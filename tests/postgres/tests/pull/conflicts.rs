//! Statements that conflict with those of others, or whose connection ends: nothing is half done.

use gae_tasks::Now;
use gae_tasks::backend::{Pull, Settled, Sweep};
use gae_tasks_tests_postgres::Refusal;

use crate::stage::{Stage, done, leasing, named, retry};

/// Two conflicts, the end of a connection, a server that takes no writes any more.
const PASSING: [&str; 4] = ["40001", "40P01", "57P01", "25006"];

#[tokio::test]
async fn outcomes_are_recorded_by_the_call_that_meets_a_conflict() {
    for code in PASSING {
        let stage = Stage::new().await;
        let refusal = Refusal::of(&stage.database).await;
        stage.store("q", 1..4).await;
        stage.enqueue(vec![named("q", 9)]).await;
        let leases = stage.leases(10).await;
        refusal.begin(code, 2).await;
        let settled = stage.settle(vec![done(leases[0]), done(leases[1])]).await;
        assert_eq!(settled, [Settled::Done; 2], "{code}");
        assert!(refusal.met().await > 2, "nothing was refused");
        refusal.begin(code, 2).await;
        let mut failed = done(leases[2]);
        failed.verdict = retry();
        let settled = stage.settle(vec![failed, done(leases[3])]).await;
        let is_recorded = matches!(settled[..], [Settled::Scheduled(_), Settled::Done]);
        assert!(is_recorded, "{code}: {settled:?}");
        assert!(refusal.met().await > 2, "nothing was refused");
        assert_eq!([stage.count("task").await, stage.count("waiting").await], [1, 1]);
        assert_eq!(stage.count("lease").await, 0);
    }
}

#[tokio::test]
async fn a_lease_that_meets_a_conflict_takes_nothing_that_it_does_not_return() {
    for code in PASSING {
        let stage = Stage::new().await;
        let refusal = Refusal::of(&stage.database).await;
        stage.store("q", 1..4).await;
        refusal.begin(code, 1).await;
        let leased = stage.backend.lease(leasing(["q"], 10)).await;
        assert!(refusal.met().await > 0, "nothing was refused");
        let returned = leased.map_or(0, |leased| leased.tasks.len());
        assert_eq!(stage.count("lease").await, returned as i64, "{code}");
        assert_eq!(returned + stage.leases(10).await.len(), 3, "{code}");
    }
}

#[tokio::test]
async fn a_sweep_that_meets_a_conflict_leaves_its_work_to_the_next() {
    for code in PASSING {
        let stage = Stage::new().await;
        let refusal = Refusal::of(&stage.database).await;
        stage.store("q", 1..4).await;
        stage.leases(10).await;
        let look = Sweep::new(Now::Storage, Vec::new(), 0);
        let held = stage.backend.sweep(look).await.expect("the server answers").held;
        refusal.begin(code, 1).await;
        _ = stage.backend.sweep(Sweep::new(Now::Storage, held, 1000)).await;
        assert!(refusal.met().await > 0, "nothing was refused");
        stage.sweep().await;
        assert_eq!([stage.count("lease").await, stage.count("waiting").await], [0, 3], "{code}");
    }
}
