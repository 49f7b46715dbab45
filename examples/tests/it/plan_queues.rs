//! A file's queues, planned and made.

use std::path::Path;

use gae_tasks::{Client, QueueConfig};

use crate::started::{example, told, url};

/// Runs the example with this file and flags; returns the status and what was written.
fn plan(folder: &Path, file: &str, flags: &[&str]) -> (Option<i32>, String) {
    let output = example("plan_queues")
        .arg(url(folder))
        .args(["--file", file])
        .args(flags)
        .output()
        .unwrap();
    (output.status.code(), told(&output))
}

#[tokio::test]
async fn a_plan_is_shown_then_made_and_then_empty() {
    let folder = tempfile::tempdir().unwrap();
    let tasks = Client::open(&url(folder.path())).await.unwrap();
    tasks.put_queue("extra", QueueConfig::new()).await.unwrap();
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/queue.yaml");
    let (status, text) = plan(folder.path(), file, &[]);
    assert_eq!(status, Some(1), "{text}");
    for line in [
        "create `emails`\n    max_dispatches_per_second: 20\n    max_burst_size: 40\n",
        "create `reports`, which tasks name",
        "not configured, and kept: `extra`",
        "`imports`: bucket_size: 5, ",
    ] {
        assert!(text.contains(line), "{line}\n{text}");
    }
    assert_eq!(tasks.queues().await.unwrap().len(), 1, "nothing was made");
    let (status, text) = plan(folder.path(), file, &["--apply", "--delete-extra"]);
    assert_eq!(status, Some(0), "{text}");
    let names: Vec<_> =
        tasks.queues().await.unwrap().into_iter().map(|queue| queue.name.to_string()).collect();
    assert_eq!(names, ["default", "emails", "imports", "reports"]);
    let (status, text) = plan(folder.path(), file, &["--delete-extra"]);
    assert_eq!(status, Some(0), "{text}");
    assert!(text.starts_with("nothing to change in the queues of the `sqlite` backend"), "{text}");
}

#[test]
fn a_file_with_mistakes_is_told_so() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("queue.yaml");
    std::fs::write(&file, "queue:\n- name: emails\n  rate: 20\n").unwrap();
    let (status, text) = plan(folder.path(), file.to_str().unwrap(), &["--apply"]);
    assert_eq!(status, Some(2), "{text}");
    assert!(text.contains("line 3, column 9: `rate: 20` has no unit"), "{text}");
}
