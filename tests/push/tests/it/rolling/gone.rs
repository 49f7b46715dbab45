//! Tasks of a version of which no instance is left: some nobody reads.

use gae_tasks::deferred;
use gae_tasks_tests_push::rolling::{Line, Order, Random};
use serde::Serialize;

use super::stage::Stage;

#[deferred(name = "rolling/narrow", queue = "rolling", args(derive(Serialize)))]
async fn narrow(number: u64, percent: i64) {
    unreachable!("nobody runs {number}, {percent} here");
}

#[deferred(name = "rolling/retype", queue = "rolling", args(derive(Serialize)))]
async fn retype(number: u64, stars: String) {
    unreachable!("nobody runs {number}, {stars} here");
}

/// Defers one task that nobody reads for its type, and five of values that nobody, one version or
/// both read.
pub(super) async fn defer(stage: &Stage, random: &mut Random) {
    let number = random.number();
    let stars = random.word();
    let mut orders = vec![Order::new("retype", &RetypeArgs { number, stars })];
    for percent in [-1, i64::MIN, 0, 255, 256] {
        let number = random.number();
        orders.push(Order::new("narrow", &NarrowArgs { number, percent }));
    }
    for Order { edit, values, task } in orders {
        stage.gone.meant(edit, &values);
        task.on(&stage.tasks).await.unwrap();
        stage.gone.write(&Line::Stored { number: values["number"].as_u64().unwrap() });
    }
}
