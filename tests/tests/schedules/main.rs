//! Schedules: made at run time, declared by the attributes of a program, and ticked by workers.
//!
//! A binary of its own: a worker declares the schedules of all linked tasks.

mod cron_file;
mod declared;
mod made;
mod missed;
mod worker;

use std::time::Duration;

use gae_tasks::{Client, TaskFilter, TaskRecord, Timestamp};

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(60 * 60);

fn time(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// Returns all stored tasks, the oldest first.
async fn stored(tasks: &Client) -> Vec<TaskRecord> {
    tasks.list(TaskFilter::new(), None, 1_000).with_payloads().await.unwrap()
}

/// Returns the times of the ticks of which there are tasks, as their names tell them.
async fn ticks(tasks: &Client) -> Vec<String> {
    let time = |record: TaskRecord| {
        let name = record.spec.name.expect("a tick has a name").to_string();
        name.rsplit_once('-').expect("it ends with a time").1.to_owned()
    };
    stored(tasks).await.into_iter().map(time).collect()
}
