//! A short measurement.

use gae_tasks::{Client, deferred};

use crate::started::{example, is_empty, told, url};

#[test]
fn the_benchmark_measures_and_removes_its_file() {
    let folder = tempfile::tempdir().unwrap();
    let file = url(folder.path());
    for url in ["memory:", &file] {
        let output = example("bench")
            .args(["--tasks", "501", "--idle", "20", "--url", url])
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", told(&output));
        for row in ["enqueue", "drain", "end to end", "defer to the handler, idle"] {
            assert!(told(&output).contains(row), "{}", told(&output));
        }
    }
    assert!(is_empty(folder.path()), "it leaves something behind");
}

#[deferred(queue = "others")]
async fn of_others() {}

#[tokio::test]
async fn the_benchmark_leaves_a_queue_in_use_alone() {
    let folder = tempfile::tempdir().unwrap();
    let tasks = Client::open(&url(folder.path())).await.unwrap();
    let id = of_others::defer().on(&tasks).await.unwrap().id;
    let output = example("bench").args(["--url", &url(folder.path())]).output().unwrap();
    assert!(!output.status.success() && told(&output).contains("has 1 tasks"), "{}", told(&output));
    assert!(tasks.get(id).await.unwrap().is_some(), "the task is gone");
}
