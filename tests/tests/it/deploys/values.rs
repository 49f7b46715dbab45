//! What a check reports about the values of payloads: how many do not fit and why, and no value.

use std::sync::atomic::{AtomicUsize, Ordering};

use gae_tasks::{Client, DeployVerdict, Registry, deferred};
use serde::{Deserialize, Serialize};

use super::{only, stages};

mod before {
    use gae_tasks::deferred;
    use serde::{Deserialize, Serialize};

    #[derive(Serialize, Deserialize)]
    pub(super) enum Action {
        Suspend,
        Delete,
        Rename(String),
    }

    #[deferred(name = "shop.users/act", queue = "users")]
    pub(super) async fn act(user_id: u64, action: Action) {
        _ = (user_id, action);
    }

    #[deferred(name = "shop.users/note", queue = "users")]
    pub(super) async fn note(text: String) {
        _ = text;
    }

    #[deferred(name = "shop.users/count", queue = "users")]
    pub(super) async fn count(number: u32) {
        _ = number;
    }
}

#[derive(Serialize, Deserialize)]
enum Action {
    Suspend,
    Delete,
}

#[deferred(name = "shop.users/act", queue = "users")]
async fn act(user_id: u16, action: Action) {
    _ = (user_id, action);
}

#[tokio::test]
async fn values_that_do_not_fit_are_grouped_by_reason() {
    for stage in stages().await {
        for id in 0..7 {
            before::act::defer(id, before::Action::Suspend).on(&stage.before).await.unwrap();
        }
        for name in ["secret", "hidden"] {
            let rename = before::Action::Rename(name.to_owned());
            before::act::defer(1, rename).on(&stage.before).await.unwrap();
        }
        before::act::defer(100_000, before::Action::Delete).on(&stage.before).await.unwrap();
        let report = stage.check(Registry::new().with::<act>()).await;
        let route = only(&report);
        assert_eq!(route.verdict, DeployVerdict::Resolves, "{report}");
        assert_eq!((route.values.read, route.values.failed), (10, 3));
        let counts: Vec<_> = route.values.reasons.iter().map(|(_, count)| *count).collect();
        assert_eq!(counts, [2, 1]);
        assert_eq!((report.stranded(), report.is_safe()), (3, false));
        let text = report.to_string();
        for part in [
            "not safe to deploy: of 10 waiting or leased tasks, 3 will not run",
            "10 payloads read; 3 do not fit",
            "of 10 read, 3 do not fit: parameter `action",
            "is a variant that is not known here (2); parameter `user_id` holds a number that is \
             out of the range of",
        ] {
            assert!(text.contains(part), "{text}");
        }
        for value in ["secret", "hidden", "100000", "100_000", "100,000"] {
            assert!(!text.contains(value), "{text}");
        }
    }
}

#[tokio::test]
async fn values_of_dead_letters_are_counted_apart() {
    for stage in stages().await {
        let delete = before::act::defer(100_000, before::Action::Delete);
        delete.on(&stage.before).await.unwrap();
        stage.bury("users", 1).await;
        before::act::defer(1, before::Action::Delete).on(&stage.before).await.unwrap();
        let report = stage.check(Registry::new().with::<act>()).await;
        let values = &only(&report).values;
        assert_eq!((values.read, values.failed, values.failed_dead), (2, 0, 1));
        assert!(report.is_safe(), "{report}");
        assert!(
            report.to_string().contains("of 2 read, 1 does not fit, 1 of them dead: "),
            "{report}"
        );
    }
}

/// A text whose `Deserialize` became stricter, under the schema that it had before.
#[derive(Serialize, Deserialize)]
#[serde(try_from = "String")]
struct Strict(String);

impl TryFrom<String> for Strict {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        match text.as_str() {
            "panic" => panic!("{text}"),
            text if text.len() > 5 => Err(format!("{text} is too long")),
            _ => Ok(Self(text)),
        }
    }
}

#[deferred(name = "shop.users/note", queue = "users")]
async fn note(text: Strict) {
    _ = text.0;
}

#[tokio::test]
async fn values_of_the_own_shape_are_read_too() {
    for stage in stages().await {
        for text in ["short", "not short", "panic", "ok"] {
            before::note::defer(text).on(&stage.before).await.unwrap();
        }
        let report = stage.check(Registry::new().with::<note>()).await;
        let route = only(&report);
        assert_eq!(route.verdict, DeployVerdict::Runs, "{report}");
        assert_eq!((route.values.read, route.values.failed), (4, 2));
        let text = report.to_string();
        assert!(
            text.contains("parameter `text`") && text.contains("panics when it is read"),
            "{text}"
        );
        assert!(!text.contains("not short"), "{text}");
    }
}

#[deferred(name = "shop.users/note", queue = "users")]
async fn signed_note(text: String, by: String) {
    _ = (text, by);
}

/// No schema says which parameters its type needs, so this is found by reading.
#[tokio::test]
async fn what_every_payload_lacks_strands_the_route() {
    for stage in stages().await {
        for text in ["a", "b", "c"] {
            before::note::defer(text).on(&stage.before).await.unwrap();
        }
        let report = stage.check(Registry::new().with::<signed_note>()).await;
        let route = only(&report);
        let DeployVerdict::Strands { reason } = &route.verdict else { panic!("{report}") };
        assert!(reason.contains("`by`"), "{reason}");
        assert_eq!((route.values.read, report.stranded()), (0, 3));
    }
}

static READ: AtomicUsize = AtomicUsize::new(0);

/// Counts how often it is read.
#[derive(Serialize)]
struct Counted(u64);

impl<'de> Deserialize<'de> for Counted {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let number = u64::deserialize(deserializer)?;
        READ.fetch_add(1, Ordering::Relaxed);
        Ok(Self(number))
    }
}

#[deferred(name = "shop.users/count", queue = "users")]
async fn count(number: Counted) {
    panic!("nobody runs it with {}", number.0);
}

#[tokio::test]
async fn at_most_so_many_values_of_a_route_are_read() {
    for stage in stages().await {
        let of = |number| before::count::defer(number);
        stage.before.defer_many((0..1_200).map(of)).await.unwrap();
        let other = Client::builder().build(std::sync::Arc::clone(&stage.backend)).unwrap();
        other.defer_many((0..1_200).map(|_| before::note::defer("x"))).await.unwrap();
        let after = stage.after(Registry::new().with::<count>().with::<note>());
        for (limit, expected) in [(None, 1_000), (Some(7), 7), (Some(0), 0), (Some(5_000), 1_200)] {
            let was = READ.load(Ordering::Relaxed);
            let check = after.check_deploy();
            let report = match limit {
                None => check.await.unwrap(),
                Some(limit) => check.values(limit).await.unwrap(),
            };
            assert_eq!(READ.load(Ordering::Relaxed) - was, expected);
            let read: Vec<_> = report.routes.iter().map(|route| route.values.read).collect();
            assert_eq!(read, [expected as u64; 2]);
            assert_eq!(report.routes[0].stats.due, 1_200);
        }
        let text = after.check_deploy().await.unwrap().to_string();
        assert!(text.contains("2,400 waiting") && text.contains("2,000 payloads read"), "{text}");
    }
}

#[tokio::test]
async fn no_more_bytes_of_a_route_are_read_than_fit_into_memory() {
    for stage in stages().await {
        let large = || before::note::defer("x".repeat(900_000));
        stage.before.defer_many((0..30).map(|_| large())).await.unwrap();
        let report = stage.check(Registry::new().with::<before::note>()).await;
        // 16 MiB, and the one that goes beyond.
        assert_eq!(only(&report).values.read, 19);
    }
}
