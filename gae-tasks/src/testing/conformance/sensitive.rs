//! The paths of args that are never shown: stored with the first task that brings them, kept for
//! good.

use super::stage::{Stage, at, kind};
use crate::backend::{Bury, NewTask, SensitivePaths};
use crate::task::Kind;
use crate::time::Now;

const NONE: [&str; 0] = [];

/// Returns a task that brings these paths.
fn task(on: &Stage, paths: &[&str]) -> NewTask {
    let sensitive = paths.iter().map(|path| Box::from(*path)).collect();
    NewTask { sensitive, ..on.task() }
}

async fn of_kinds(on: &Stage, kinds: Vec<Kind>) -> Vec<SensitivePaths> {
    on.backend.sensitive(kinds).await.expect("sensitive answers")
}

/// Checks the paths of the kind of plain tasks, in any order.
async fn expect<const N: usize>(on: &Stage, paths: [&str; N]) {
    let found = of_kinds(on, vec![on.task().spec.kind]).await.remove(0);
    let mut found: Vec<_> = found.iter().map(|path| &**path).collect();
    found.sort_unstable();
    assert_eq!(found, paths);
}

pub(super) async fn a_task_is_stored_with_its_sensitive_paths(on: Stage) {
    expect(&on, NONE).await;
    on.store(at(0), task(&on, &[])).await;
    expect(&on, NONE).await;
    on.store(at(0), task(&on, &["pin", "card.number"])).await;
    expect(&on, ["card.number", "pin"]).await;
}

pub(super) async fn sensitive_paths_are_added_and_never_taken_away(on: Stage) {
    for paths in [&["pin"][..], &["pin", "note"], &[], &["card"], &["pin"]] {
        on.store(at(0), task(&on, paths)).await;
    }
    expect(&on, ["card", "note", "pin"]).await;
    on.purge(at(0), "q").await;
    expect(&on, ["card", "note", "pin"]).await;
}

pub(super) async fn the_sensitive_paths_of_a_batch_are_all_stored(on: Stage) {
    let tasks = [&["a"][..], &["b"], &[], &["a", "c"]].map(|paths| task(&on, paths));
    on.enqueue(at(0), tasks.into()).await;
    expect(&on, ["a", "b", "c"]).await;
}

pub(super) async fn sensitive_paths_belong_to_a_kind(on: Stage) {
    let other = kind("conformance/other");
    on.store(at(0), task(&on, &["pin"])).await;
    on.store(at(0), task(&on, &["key"]).with(|task| task.spec.kind = other.clone())).await;
    let third = kind("conformance/third");
    let kinds = vec![third, other, on.task().spec.kind];
    let found = of_kinds(&on, kinds).await;
    let found: Vec<Vec<&str>> =
        found.iter().map(|paths| paths.iter().map(|path| &**path).collect()).collect();
    assert_eq!(found, [vec![], vec!["key"], vec!["pin"]]);
    assert!(of_kinds(&on, Vec::new()).await.is_empty());
}

pub(super) async fn a_buried_task_is_stored_with_its_sensitive_paths(on: Stage) {
    let request =
        Bury::new(Now::At(at(0)), task(&on, &["pin"]), 3, None, "it failed elsewhere".to_owned());
    on.backend.bury(request).await.expect("bury answers");
    expect(&on, ["pin"]).await;
}
