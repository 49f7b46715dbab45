//! A check before a deploy loads no payload from the store.

use super::shelf::{Trouble, World, takes, text};

#[tokio::test]
async fn payloads_in_the_store_are_counted_and_not_read() {
    for world in World::on_each().await {
        takes::defer(text(10)).on(&world.tasks).await.unwrap();
        world.spill().await;
        world.spill().await;
        world.shelf.have(Trouble::Down);
        let report = world.tasks.check_deploy().await.unwrap();
        let values = &report.routes[0].values;
        assert_eq!((values.read, values.failed, values.spilled), (1, 0, 2));
        assert!(report.is_safe());
        let end = "of 1 read, 0 do not fit; 2 in a payload store, not read";
        assert!(report.to_string().ends_with(end), "{report}");
    }
}
