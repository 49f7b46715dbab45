//! Tasks that a trigger of the database protects: each fails alone.

use gae_tasks::backend::{Settled, Verdict};

use crate::stage::{Stage, done, retry};

/// Protects the first task from changes.
const PROTECT: &str = "CREATE FUNCTION protect() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN IF \
                       OLD.id::text LIKE '%1' THEN RAISE EXCEPTION 'protected'; END IF; RETURN \
                       coalesce(NEW, OLD); END $$; CREATE TRIGGER protect BEFORE UPDATE OR DELETE \
                       ON gae_tasks.task FOR EACH ROW EXECUTE FUNCTION protect()";

#[tokio::test]
async fn a_protected_task_is_settled_alone() {
    let stage = Stage::new().await;
    stage.store("q", 1..5).await;
    let leases = stage.leases(10).await;
    stage.execute(PROTECT).await;
    let mut settlements: Vec<_> = leases.iter().copied().map(done).collect();
    settlements[3].verdict = retry();
    let settled = stage.settle(settlements).await;
    assert_eq!(settled[..3], [Settled::LeaseLost, Settled::Done, Settled::Done]);
    assert!(matches!(settled[3], Settled::Scheduled(_)));
    assert_eq!([stage.count("task").await, stage.count("lease").await], [2, 1]);
}

#[tokio::test]
async fn a_protected_task_keeps_its_lease_and_the_others_are_recovered() {
    let stage = Stage::new().await;
    stage.store("q", 1..4).await;
    stage.leases(10).await;
    stage.execute(PROTECT).await;
    let swept = stage.sweep().await;
    assert_eq!((swept.recovered, swept.held.len()), (2, 1));
    stage.execute("DROP TRIGGER protect ON gae_tasks.task").await;
    assert_eq!(stage.sweep().await.recovered, 1);
}

#[tokio::test]
async fn a_protected_dead_letter_stays_and_the_others_are_forgotten() {
    let stage = Stage::new().await;
    stage.store("q", 1..4).await;
    let leases = stage.leases(10).await;
    let dead = |lease| {
        let mut settlement = done(lease);
        settlement.verdict = Verdict::Permanent { error: "it failed".to_owned() };
        settlement
    };
    stage.settle(leases.into_iter().map(dead).collect()).await;
    stage.execute(&format!("UPDATE gae_tasks.task SET died = 0; {PROTECT}")).await;
    assert_eq!(stage.sweep().await.forgotten, 2);
    assert_eq!(stage.count("task").await, 1);
}
