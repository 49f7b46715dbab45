//! Unique tasks in transactions: whoever comes second waits a little, and the transaction stays
//! usable.

use std::time::Duration;

use gae_tasks::{Conflict, Error, Unique, deferred};

use crate::stage::Stage;

#[deferred(queue = "pages")]
async fn index(page: u64, reason: String) {
    _ = (page, reason);
}

fn by_page() -> Unique {
    Unique::by(["page"])
}

#[tokio::test]
async fn a_key_that_another_open_transaction_holds_is_busy_and_the_transaction_goes_on() {
    let stage = Stage::new().await;
    let call = |page| index::defer(page, "a").unique(by_page()).on(&stage.tasks);
    let mut first = stage.pool.begin().await.unwrap();
    let held = call(7).in_tx(&mut first).await.unwrap();
    let mut second = stage.pool.begin().await.unwrap();
    let busy = call(7).in_tx(&mut second).await.unwrap_err();
    assert!(matches!(&busy, Error::Busy { name, .. } if name.starts_with('~')), "{busy}");
    let outside = call(7).await.unwrap_err();
    assert!(matches!(&outside, Error::Busy { .. }), "{outside}");
    assert!(call(8).in_tx(&mut second).await.unwrap().created);
    second.commit().await.unwrap();
    first.commit().await.unwrap();
    let kept = call(7).await.unwrap();
    assert_eq!((kept.id, kept.conflict), (held.id, Some(Conflict::Kept)));
    assert_eq!(stage.open_tasks().await, 2);
}

#[tokio::test]
async fn a_waiting_task_is_replaced_and_rescheduled_when_the_transaction_commits() {
    let stage = Stage::new().await;
    let hour = Duration::from_secs(3_600);
    let first = index::defer(7, "a").unique(by_page()).after(hour).on(&stage.tasks).await.unwrap();
    let due = stage.tasks.get(first.id).await.unwrap().unwrap().schedule_time;
    for commits in [false, true] {
        let mut tx = stage.pool.begin().await.unwrap();
        let call = index::defer(7, "b").unique(by_page().replace_args()).on(&stage.tasks);
        let new = call.in_tx(&mut tx).await.unwrap();
        assert_eq!(new.conflict, Some(Conflict::Replaced));
        let later = by_page().debounce(2 * hour);
        let moved = index::defer(7, "c").unique(later).on(&stage.tasks);
        let moved = moved.in_tx(&mut tx).await.unwrap();
        assert_eq!((moved.id, moved.conflict), (new.id, Some(Conflict::Rescheduled)));
        if !commits {
            tx.rollback().await.unwrap();
            let record = stage.tasks.get(first.id).await.unwrap().unwrap();
            assert_eq!(record.schedule_time, due);
            continue;
        }
        tx.commit().await.unwrap();
        assert!(stage.tasks.get(first.id).await.unwrap().is_none());
        let record = stage.tasks.get(new.id).await.unwrap().unwrap();
        assert!(record.args_json().unwrap().contains("\"b\"") && record.schedule_time > due);
        assert_eq!(stage.number("SELECT count(*) FROM gae_tasks.waiting").await, 1);
    }
}

#[tokio::test]
async fn named_unique_and_plain_tasks_are_stored_together() {
    let stage = Stage::new().await;
    let mut tx = stage.pool.begin().await.unwrap();
    let many = [
        index::defer(1, "a").named("one"),
        index::defer(2, "a").unique(by_page()),
        index::defer(3, "a"),
        index::defer(2, "b").unique(by_page()),
        index::defer(1, "b").named("one"),
    ];
    let answers = stage.tasks.defer_many_in_tx(&mut tx, many).await.unwrap();
    tx.commit().await.unwrap();
    let created: Vec<_> = answers.iter().map(|answer| answer.created).collect();
    assert_eq!(created, [true, true, true, false, false]);
    assert_eq!([answers[3].id, answers[4].id], [answers[1].id, answers[0].id]);
    assert_eq!(stage.open_tasks().await, 3);
}
