//! Unique tasks in transactions: what another connection has stored counts, and what is rolled back
//! does not.

use std::path::PathBuf;
use std::time::Duration;

use gae_tasks::{BoxError, Client, Conflict, TaskContext, Unique, deferred};

use crate::stage::{Stage, begin, number, until};

#[deferred(queue = "pages")]
async fn index(page: u64, reason: String) {
    _ = (page, reason);
}

fn by_page() -> Unique {
    Unique::by(["page"])
}

#[tokio::test]
async fn a_key_that_is_in_use_stores_nothing() {
    let stage = Stage::new().await;
    let first = index::defer(7, "a").unique(by_page()).on(&stage.tasks).await.unwrap();
    let mut application = stage.application();
    let tx = begin(&mut application);
    let call = |page| index::defer(page, "b").unique(by_page()).on(&stage.tasks);
    let kept = call(7).in_tx(&tx).unwrap();
    assert_eq!((kept.id, kept.conflict), (first.id, Some(Conflict::Kept)));
    let own = call(8).in_tx(&tx).unwrap();
    assert_eq!(call(8).in_tx(&tx).unwrap().id, own.id);
    tx.rollback().unwrap();
    assert!(call(8).await.unwrap().created, "what was rolled back has no key");
    assert_eq!(stage.open_tasks().await, 2);
}

#[tokio::test]
async fn a_waiting_task_is_replaced_and_rescheduled_when_the_transaction_commits() {
    let stage = Stage::new().await;
    let hour = Duration::from_secs(3_600);
    let first = index::defer(7, "a").unique(by_page()).after(hour).on(&stage.tasks).await.unwrap();
    let due = stage.tasks.get(first.id).await.unwrap().unwrap().schedule_time;
    let mut application = stage.application();
    for commits in [false, true] {
        let tx = begin(&mut application);
        let call = index::defer(7, "b").unique(by_page().replace_args()).on(&stage.tasks);
        let new = call.in_tx(&tx).unwrap();
        assert_eq!(new.conflict, Some(Conflict::Replaced));
        let later = by_page().debounce(2 * hour);
        let moved = index::defer(7, "c").unique(later).on(&stage.tasks).in_tx(&tx).unwrap();
        assert_eq!((moved.id, moved.conflict), (new.id, Some(Conflict::Rescheduled)));
        if !commits {
            tx.rollback().unwrap();
            let record = stage.tasks.get(first.id).await.unwrap().unwrap();
            assert_eq!(record.schedule_time, due);
            continue;
        }
        tx.commit().unwrap();
        assert!(stage.tasks.get(first.id).await.unwrap().is_none());
        let record = stage.tasks.get(new.id).await.unwrap().unwrap();
        assert!(record.args_json().unwrap().contains("\"b\""));
        assert!(record.schedule_time > due);
        // It waits in one place, which its lane knows.
        assert_eq!(number(&application, "SELECT count(*) FROM gae_tasks_waiting"), 1);
        let ready = "SELECT count(*) FROM gae_tasks_ready r JOIN gae_tasks_waiting w ON w.lane = \
                     r.lane AND w.due = r.due";
        assert_eq!(number(&application, ready), 1);
    }
}

/// The file of the application.
struct File(PathBuf);

#[deferred(queue = "unique-played")]
fn play(outlives: bool, #[state] file: &File, #[context] cx: &TaskContext) -> Result<(), BoxError> {
    _ = outlives;
    let mut application = gae_tasks_tests::transactions::open(&file.0)?;
    let tx = begin(&mut application);
    cx.complete_in(&tx)?;
    Ok(tx.commit()?)
}

#[tokio::test]
async fn a_completed_task_frees_its_key_unless_it_outlives_the_task() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("shop.db");
    let client = Client::builder().state(File(file.clone()));
    let tasks = client.open(&format!("sqlite:{}", file.display())).await.unwrap();
    let stage = Stage { folder, tasks };
    let unique = |outlives| {
        let unique = Unique::by_args();
        if outlives { unique.over_finished() } else { unique }
    };
    let call = |outlives| play::defer(outlives).unique(unique(outlives)).on(&stage.tasks);
    let first = [call(false).await.unwrap().id, call(true).await.unwrap().id];
    stage.tasks.drain().await.unwrap();
    until("the end of the tasks", async || stage.open_tasks().await == 0).await;
    let names = "SELECT count(*) FROM gae_tasks_name";
    assert_eq!(number(&stage.application(), names), 1, "only what outlives its task is left");
    assert!(call(false).await.unwrap().created);
    let kept = call(true).await.unwrap();
    assert_eq!((kept.id, kept.conflict), (first[1], Some(Conflict::Kept)));
}
