//! A check before a deploy loads payloads from the store, within its limits, and says which it
//! left.

use std::time::Duration;

use gae_tasks::{Client, Registry, deferred};

use super::shelf::{Trouble, World, key, program, takes, text};

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
    assert_eq!((report.routes.len(), report.is_safe()), (1, true), "{report}");
    let values = &report.routes[0].values;
    assert_eq!(values.failed, 0);
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
async fn a_client_without_a_store_says_so() {
    for world in World::on_each().await {
        world.spill().await;
        let tasks = world.beside(program(&world.ran));
        let (read, unread) = unread(&tasks).await;
        let [(why, 1)] = &unread[..] else { panic!("{unread:?}") };
        assert!(read == 0 && why.contains("add `.payload_store(..)` to its builder"), "{why}");
    }
}
