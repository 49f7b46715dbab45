//! Values that one version cannot read: they go back without an attempt, and to others at once.

use std::time::Duration;

use gae_tasks::{Task, TaskState};

use super::stage::{World, versions};

const MINUTE: Duration = Duration::from_secs(60);

versions! {
    widened {
        #[deferred(name = "rolling/widened")]
        pub async fn task(cents: u32, #[state] ran: &Ran) {
            ran.note(format!("old: {cents}"));
        }
    } => {
        #[deferred(name = "rolling/widened")]
        pub async fn task(cents: u64, #[state] ran: &Ran) {
            ran.note(format!("new: {cents}"));
        }
    }

    narrowed {
        #[deferred(name = "rolling/narrowed", max_attempts = 1)]
        pub async fn task(cents: u64, #[state] ran: &Ran) {
            ran.note(format!("old: {cents}"));
        }
    } => {
        #[deferred(name = "rolling/narrowed", max_attempts = 1)]
        pub async fn task(cents: u8, #[state] ran: &Ran) {
            ran.note(format!("new: {cents}"));
        }
    }
}

#[tokio::test]
async fn a_widened_number_is_read_and_what_is_too_large_is_left_to_the_new_program() {
    use widened::{new, old};
    for world in World::each().await {
        let (before, after) = (world.program::<old::task>(), world.program::<new::task>());
        assert_eq!(world.resolves(old::task::defer(u32::MAX), &after).await, "new: 4294967295");
        assert_eq!(world.resolves(new::task::defer(7), &before).await, "old: 7");
        new::task::defer(u64::from(u32::MAX) + 1).on(&before).await.unwrap();
        assert_eq!(world.run(&before).await, [""; 0]);
        assert_eq!(world.run(&after).await, ["new: 4294967296"]);
    }
}

#[tokio::test]
async fn a_value_that_is_too_large_goes_back_marked_and_another_shape_has_it_at_once() {
    use narrowed::{new, old};
    for world in World::each().await {
        let (before, after) = (world.program::<old::task>(), world.program::<new::task>());
        old::task::defer(255).on(&after).await.unwrap();
        let id = old::task::defer(256).on(&after).await.unwrap().id;
        let deferred = world.clock.time();
        assert_eq!(world.run(&after).await, ["new: 255"]);

        let record = world.record(&after, id).await;
        assert_eq!((record.state, record.attempts), (TaskState::Scheduled, 0));
        assert_eq!(record.refused_by, [new::task::registration().shape().unwrap()]);
        assert_eq!(record.schedule_time, deferred.plus(MINUTE));
        let error = &record.errors[0].message;
        let expected = "parameter `cents` holds a number that is out of the range of u8";
        assert!(error.contains(expected) && !error.contains("256"), "{error}");
        assert_eq!(world.run(&after).await, [""; 0], "it pauses here");
        assert_eq!(world.record(&after, id).await.refusals, 1);

        assert_eq!(world.run(&before).await, ["old: 256"], "at once");
        assert_eq!(after.stats().await.unwrap().open(), 0);
    }
}

#[tokio::test]
async fn the_pause_doubles_and_never_ends_the_task() {
    use narrowed::{new, old};
    for world in World::each().await {
        let (before, after) = (world.program::<old::task>(), world.program::<new::task>());
        let id = old::task::defer(256).on(&after).await.unwrap().id;
        for refusals in 1..=9 {
            assert_eq!(world.run(&after).await, [""; 0]);
            let record = world.record(&after, id).await;
            assert_eq!((record.refusals, record.attempts), (refusals, 0));
            let pause = (MINUTE * 2_u32.pow(refusals - 1)).min(60 * MINUTE);
            assert_eq!(record.schedule_time, world.clock.time().plus(pause));
            world.clock.advance(pause - Duration::from_secs(1));
            assert_eq!(world.run(&after).await, [""; 0]);
            assert_eq!(world.record(&after, id).await.refusals, refusals, "it still pauses");
            world.clock.advance(Duration::from_secs(1));
        }
        assert_eq!(world.run(&before).await, ["old: 256"], "its only attempt");
    }
}
