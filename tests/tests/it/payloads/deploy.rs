//! A check before a deploy loads payloads from the store, within its limits, and says which it
//! left.

use std::time::Duration;

use gae_tasks::payload_store::{PayloadStore, Stored};
use gae_tasks::testing::ManualClock;
use gae_tasks::{Client, Clock, DeployReport, Registry, Timestamp, deferred};

use super::shelf::{Shelf, Trouble, World, fails, key, program, takes, text};

#[deferred(name = "shop/import")]
async fn import(rows: Vec<u64>) {
    _ = rows;
}

mod after {
    use gae_tasks::deferred;

    #[deferred(name = "shop/import")]
    pub(super) async fn import(rows: Vec<u8>) {
        _ = rows;
    }
}

/// The reasons of the only route with their numbers, and how many payloads were read.
async fn unread(tasks: &Client) -> (u64, Vec<(String, u64)>) {
    let report = tasks.check_deploy().await.unwrap();
    let values = &report.routes[0].values;
    let is_safe = !values.store_failed;
    assert_eq!((report.routes.len(), report.is_safe()), (1, is_safe), "{report}");
    let first = if is_safe { "safe to deploy: " } else { "not known to be safe: " };
    assert!(report.to_string().starts_with(first), "{report}");
    assert_eq!((values.failed, report.stranded()), (0, 0));
    for (reason, count) in &values.unread {
        let end = format!("; {count} in a payload store not read: {reason}");
        assert!(report.to_string().ends_with(&end), "{report}");
    }
    (values.read, values.unread.clone())
}

#[tokio::test]
async fn payloads_in_the_store_are_read_like_others() {
    for world in World::on_each().await {
        for rows in [vec![7; 5], vec![7; 1000], [vec![7; 999], vec![300]].concat()] {
            import::defer(rows).on(&world.tasks).await.unwrap();
        }
        assert_eq!(world.shelf.len(), 2);
        let registry = Registry::new().with::<after::import>();
        let builder = Client::builder().registry(registry).payload_store(world.shelf.clone());
        let after = world.beside(builder);
        let report = after.check_deploy().await.unwrap();
        let values = &report.routes[0].values;
        assert_eq!((values.read, values.failed, values.unread.len()), (3, 1, 0), "{report}");
        assert!(values.reasons[0].0.contains("parameter `rows[]` holds a number"), "{report}");
        assert_eq!(report.stranded(), 1);
    }
}

#[tokio::test]
async fn payloads_that_are_gone_from_the_store_do_not_fit() {
    for world in World::on_each().await {
        let (missing, changed, fits) =
            (world.spill().await, world.spill().await, world.spill().await);
        world.shelf.kept().remove(&key(missing));
        world.shelf.kept().get_mut(&key(changed)).unwrap().0.pop();
        assert!(world.shelf.keys().contains(&key(fits)));
        let report = world.tasks.check_deploy().await.unwrap();
        let values = &report.routes[0].values;
        assert_eq!((values.read, values.failed, values.unread.len()), (3, 2, 0), "{report}");
        let text = report.to_string();
        assert!(text.contains("is missing in the payload store `shelf` (1)"), "{text}");
        assert!(text.contains("was truncated or changed after it was stored (1)"), "{text}");
    }
}

#[tokio::test]
async fn payloads_that_the_store_does_not_return_are_counted_with_the_reason() {
    for world in World::on_each().await {
        takes::defer(text(10)).on(&world.tasks).await.unwrap();
        // More than are loaded at once.
        for _ in 0..40 {
            world.spill().await;
        }
        assert_eq!(unread(&world.tasks).await, (41, Vec::new()));
        for (trouble, reason) in [
            (Trouble::Down, "cannot be loaded from the payload store `shelf`: the shelf is down"),
            (Trouble::Panics, "the payload store panicked: the shelf is broken"),
        ] {
            world.shelf.have(trouble);
            let before = world.shelf.gets();
            let (read, unread) = unread(&world.tasks).await;
            let [(why, 40)] = &unread[..] else { panic!("{unread:?}") };
            assert_eq!(world.shelf.gets() - before, 32, "the rest is not asked for");
            assert!(read == 1 && why.contains(reason), "{why}");
        }
        world.shelf.have(Trouble::Hangs);
        let tasks = world.tasks.clone();
        let check = tokio::spawn(async move { unread(&tasks).await });
        while !check.is_finished() {
            world.clock.advance(Duration::from_secs(60));
            tokio::task::yield_now().await;
        }
        let expected = "the payload store `shelf` takes more than 1 min".to_owned();
        assert_eq!(check.await.unwrap(), (1, vec![(expected, 40)]));
    }
}

#[tokio::test]
async fn no_more_bytes_are_loaded_than_a_route_may_take() {
    for world in World::on_each().await {
        for mebibytes in [10, 7, 1] {
            takes::defer(text(mebibytes << 20)).on(&world.tasks).await.unwrap();
        }
        let reason = "at most 16 MiB of payloads of a route are read".to_owned();
        assert_eq!(unread(&world.tasks).await, (2, vec![(reason, 1)]));
    }
}

#[tokio::test]
async fn tasks_that_a_client_without_their_store_would_not_run_are_counted() {
    for world in World::on_each().await {
        takes::defer(text(10)).on(&world.tasks).await.unwrap();
        world.spill().await;
        let other = Shelf::new("other", &world.clock);
        for (builder, reason) in [
            (
                program(&world.ran),
                "this program has no payload store, the payload is in `shelf`: add \
                 `.payload_store(..)` to its builder",
            ),
            (
                program(&world.ran).payload_store(other),
                "the payload store of this program is `other`, the payload is in `shelf`: use the \
                 same for both",
            ),
        ] {
            let report = world.beside(builder).check_deploy().await.unwrap();
            let values = &report.routes[0].values;
            assert_eq!((values.read, values.failed, values.store_failed), (2, 1, false));
            assert_eq!(values.reasons, [(reason.to_owned(), 1)]);
            assert_eq!((report.is_safe(), report.stranded()), (false, 1), "{report}");
            let first = "not safe to deploy: of 2 waiting or leased tasks, 1 will not run";
            assert!(report.to_string().starts_with(first), "{report}");
        }
    }
}

#[tokio::test]
async fn a_store_that_fails_at_a_dead_letter_is_no_risk() {
    for world in World::on_each().await {
        let id = world.spill().await;
        let payload = world.shelf.kept().remove(&key(id)).unwrap();
        world.work_until(|world| world.shelf.gets() > 0).await;
        world.shelf.kept().insert(key(id), payload);
        world.shelf.have(Trouble::Down);
        let report = world.tasks.check_deploy().await.unwrap();
        let route = &report.routes[0];
        assert_eq!((route.stats.dead, route.values.unread.len()), (1, 1), "{report}");
        assert!(report.is_safe() && !route.values.store_failed, "{report}");
    }
}

/// What happens before a payload is loaded.
#[derive(Debug, Clone)]
enum First {
    /// Its task ends, and the payload with it.
    Ends(Client),
    /// Time passes.
    Passes(ManualClock, Duration),
}

/// A store in which something happens before each payload is loaded.
#[derive(Debug, Clone)]
struct Eventful(Shelf, First);

impl PayloadStore for Eventful {
    fn name(&self) -> String {
        self.0.name()
    }

    fn put<'a>(&'a self, key: &'a str, payload: Vec<u8>) -> Stored<'a, ()> {
        self.0.put(key, payload)
    }

    fn get<'a>(&'a self, key: &'a str) -> Stored<'a, Option<Vec<u8>>> {
        Box::pin(async move {
            let id = key.strip_suffix(".gae-tasks").unwrap().parse().unwrap();
            match &self.1 {
                First::Ends(tasks) => _ = tasks.delete(id).await?,
                First::Passes(clock, time) => clock.sleep(*time).await,
            }
            self.0.get(key).await
        })
    }

    fn delete<'a>(&'a self, key: &'a str) -> Stored<'a, ()> {
        self.0.delete(key)
    }

    fn put_before(&self, moment: Timestamp) -> Stored<'_, Vec<String>> {
        self.0.put_before(moment)
    }
}

#[tokio::test]
async fn tasks_that_end_while_their_payloads_are_loaded_are_no_trouble() {
    for world in World::on_each().await {
        // More than are loaded at once.
        for _ in 0..40 {
            world.spill().await;
        }
        let ends = Eventful(world.shelf.clone(), First::Ends(world.tasks.clone()));
        let report = world.beside(program(&world.ran).payload_store(ends)).check_deploy().await;
        let report = report.unwrap();
        assert_eq!((world.shelf.len(), world.shelf.gets()), (0, 40));
        let values = &report.routes[0].values;
        assert_eq!((values.failed, values.unread.len()), (0, 0), "{report}");
        assert!(report.is_safe(), "{report}");
    }
}

/// Checks while time passes in steps of so many seconds.
async fn check_in_steps(tasks: &Client, clock: &ManualClock, seconds: u64) -> DeployReport {
    let check = tokio::spawn(tasks.check_deploy().into_future());
    while !check.is_finished() {
        // Only while the check waits, so that the time is exact.
        if clock.sleepers() > 0 {
            clock.advance(Duration::from_secs(seconds));
        }
        tokio::task::yield_now().await;
    }
    check.await.unwrap().unwrap()
}

#[tokio::test]
async fn all_routes_together_have_a_minute() {
    for world in World::on_each().await {
        world.spill().await;
        fails::defer(text(1000)).on(&world.tasks).await.unwrap();
        for (seconds, loaded) in [(20, 2), (40, 1)] {
            let first = First::Passes(world.clock.clone(), Duration::from_secs(seconds));
            let slow = Eventful(world.shelf.clone(), first);
            let builder = program(&world.ran).clock(world.clock.clone()).payload_store(slow);
            let tasks = world.beside(builder);
            let report = check_in_steps(&tasks, &world.clock, 10).await;
            let read = report.routes.iter().map(|route| route.values.read).sum::<u64>();
            assert_eq!((read, report.is_safe()), (loaded, loaded == 2), "{report}");
        }
    }
}

#[tokio::test]
async fn a_store_that_hangs_or_fails_is_asked_no_more_for_other_routes() {
    for world in World::on_each().await {
        world.spill().await;
        fails::defer(text(1000)).on(&world.tasks).await.unwrap();
        for (trouble, minutes, why) in
            [(Trouble::Hangs, 1, "takes more than 1 min"), (Trouble::Down, 0, "the shelf is down")]
        {
            world.shelf.have(trouble);
            let (gets, start) = (world.shelf.gets(), world.clock.monotonic());
            let report = check_in_steps(&world.tasks, &world.clock, 60).await;
            let taken = world.clock.monotonic() - start;
            assert_eq!(taken, Duration::from_secs(60 * minutes), "{report}");
            assert_eq!((report.routes.len(), world.shelf.gets() - gets), (2, 1), "{report}");
            for route in &report.routes {
                let [(reason, 1)] = &route.values.unread[..] else { panic!("{report}") };
                assert!(reason.contains(why) && route.values.store_failed, "{report}");
            }
            assert_eq!((report.is_safe(), report.stranded()), (false, 0), "{report}");
            let first = "not known to be safe: 2 waiting or leased tasks may run; ";
            assert!(report.to_string().starts_with(first), "{report}");
        }
    }
}
