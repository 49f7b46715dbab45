//! The schedules of an App Engine `cron.yaml`.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use gae_tasks::backend::memory::Memory;
use gae_tasks::testing::ManualClock;
use gae_tasks::{Client, ClientBuilder, CronFile, Error, Registry, deferred};

use crate::{HOUR, stored};

#[derive(Clone, Default)]
struct Sum(Arc<AtomicU32>);

#[deferred(queue = "reports", name = "shop.reports/daily")]
async fn daily(#[default(7)] customer: u32, note: Option<String>, #[state] sum: &Sum) {
    assert_eq!(note, None);
    sum.0.fetch_add(customer, Ordering::SeqCst);
}

#[deferred(name = "shop.reports/of")]
async fn of(customer: u32) {
    _ = customer;
}

fn builder(file: &str, clock: &ManualClock) -> ClientBuilder {
    let registry = Registry::new().with::<daily>().with::<of>();
    let file = CronFile::parse(file).unwrap();
    Client::builder().cron_file(file).registry(registry).clock(clock.clone()).program("shop")
}

#[tokio::test]
async fn the_schedules_of_a_file_are_declared_and_defer_their_tasks_without_args() {
    let file = r#"
cron:
- url: /_cb/deferred/shop.reports/daily
  schedule: every day 01:00
- url: /_cb/deferred/shop.reports/daily
  schedule: every day 02:00
  retry_parameters:
    job_retry_limit: 2
"#;
    let (clock, sum) = (ManualClock::new(), Sum::default());
    let tasks = builder(file, &clock).state(sum.clone()).build(Memory::new()).unwrap();
    tasks.tick_schedules().await.unwrap();
    let schedules = tasks.schedules().await.unwrap();
    let names: Vec<_> = schedules.iter().map(|schedule| schedule.name.as_str()).collect();
    assert_eq!(names, ["shop.reports/daily", "shop.reports/daily/2"]);
    assert!(schedules.iter().all(|schedule| schedule.revision.is_some()), "{schedules:?}");
    clock.advance(2 * HOUR);
    assert_eq!(tasks.tick_schedules().await.unwrap(), 2);
    let retries = stored(&tasks).await.into_iter().filter(|task| task.spec.retry.is_some());
    assert_eq!(retries.count(), 1);
    assert_eq!(tasks.drain().await.unwrap(), 2);
    assert_eq!(sum.0.load(Ordering::SeqCst), 14);
}

#[tokio::test]
async fn every_entry_that_cannot_be_is_told_with_its_line() {
    let file = r#"
cron:
- url: /_cb/deferred/shop.reports/of
  schedule: every day 01:00
- url: /_cb/deferred/shop.reports/gone
  schedule: every day 02:00
"#;
    let clock = ManualClock::new();
    let tasks = builder(file, &clock).state(Sum::default()).build(Memory::new()).unwrap();
    let refused = tasks.tick_schedules().await.unwrap_err();
    assert!(matches!(refused, Error::Misconfigured { .. }), "{refused}");
    let text = refused.to_string();
    for expected in ["line 3", "`shop.reports/of` has parameters", "line 5", "`shop.reports/gone`"]
    {
        assert!(text.contains(expected), "{text}");
    }
    assert!(tasks.schedules().await.unwrap().is_empty());
}
