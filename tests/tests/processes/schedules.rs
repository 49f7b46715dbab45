//! Several processes tick the schedules of one file.
#![cfg(all(feature = "sqlite", unix))]

use gae_tasks_tests::ticks::race;

/// `TICKS_SECONDS` takes longer than the default.
fn seconds() -> u64 {
    let seconds = std::env::var("TICKS_SECONDS").ok();
    seconds.map_or(15, |seconds| seconds.parse().expect("TICKS_SECONDS is a number"))
}

#[tokio::test]
async fn four_processes_make_each_tick_once_though_they_are_killed_and_their_clocks_are_set() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}", folder.path().join("tasks.db").display());
    race(env!("CARGO_BIN_EXE_ticks"), &url, folder.path(), seconds()).await;
}
