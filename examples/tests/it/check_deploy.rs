//! The exit status of a program that compares itself with the tasks of its earlier versions.

use std::path::Path;

use gae_tasks::Client;

use crate::started::{example, told, url};

mod before {
    use gae_tasks::deferred;

    #[deferred(name = "shop.emails/send_welcome", queue = "emails")]
    pub(super) async fn send_welcome(user_id: u32) {
        _ = user_id;
    }

    #[deferred(name = "shop.emails/send_welcome", queue = "emails")]
    pub(super) async fn welcome_by_name(user_id: String) {
        _ = user_id;
    }
}

/// Runs the check; returns the status and what was written.
fn check(folder: &Path) -> (Option<i32>, String) {
    let output = example("check_deploy").arg(url(folder)).output().unwrap();
    (output.status.code(), told(&output))
}

#[tokio::test]
async fn the_status_says_whether_tasks_would_wait() {
    let folder = tempfile::tempdir().unwrap();
    let tasks = Client::open(&url(folder.path())).await.unwrap();
    before::send_welcome::defer(7).on(&tasks).await.unwrap();
    let (status, text) = check(folder.path());
    assert_eq!(status, Some(0), "{text}");
    assert!(text.starts_with("safe to deploy: 1 waiting or leased task will run"), "{text}");
    let older = before::welcome_by_name::defer("Ada").on(&tasks).await.unwrap().id;
    let (status, text) = check(folder.path());
    assert_eq!(status, Some(1), "{text}");
    assert!(text.contains("parameter `user_id`: was a String, is a u64"), "{text}");
    tasks.delete(older).await.unwrap();
    assert_eq!(check(folder.path()).0, Some(0));
}

#[test]
fn a_queue_that_is_not_there_is_neither() {
    let folder = tempfile::tempdir().unwrap();
    let there = format!("{}?mode=rw", url(folder.path()));
    let output = example("check_deploy").arg(there).output().unwrap();
    assert_eq!(output.status.code(), Some(2), "{}", told(&output));
    let unset = example("check_deploy").env_remove("GAE_TASKS_URL").output().unwrap();
    assert_eq!(unset.status.code(), Some(2), "{}", told(&unset));
    assert!(told(&unset).contains("GAE_TASKS_URL"), "{}", told(&unset));
}
