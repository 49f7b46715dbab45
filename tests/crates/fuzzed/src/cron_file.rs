//! Fuzzes the reader of `cron.yaml`: a text is schedules of tasks, or is refused with places in it.

use gae_tasks::{Cron, CronEntry, CronFile, Kind, Timestamp};

use crate::refused;

pub(super) fn check(bytes: &[u8]) {
    let Ok(text) = str::from_utf8(bytes) else { return };
    match text.parse::<CronFile>() {
        Ok(file) => file.entries().iter().for_each(|entry| is_whole(entry, text)),
        Err(error) => refused::check(text, &error),
    }
}

/// Panics unless a schedule can be stored, run and found in the file again.
fn is_whole(entry: &CronEntry, text: &str) {
    assert!(Kind::new(entry.kind().as_str()).is_ok(), "{entry:?}");
    assert!((1..=refused::lines(text)).contains(&entry.line()), "{entry:?}");
    let cron = entry.cron();
    assert_eq!(Cron::parse(&cron.to_string()).as_ref(), Ok(cron));
    let since = Timestamp::from_micros(0);
    assert!(cron.next_after(since).is_none_or(|tick| tick > since), "{entry:?}");
    if let Some(retry) = entry.retry() {
        let attempts = retry.max_attempts().expect("App Engine limits the retries");
        assert!((1..=6).contains(&attempts), "{entry:?}");
        assert!(retry.min_backoff() <= retry.max_backoff(), "{entry:?}");
    }
}
