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

    unfixed {
        #[deferred(name = "rolling/fixed")]
        pub async fn task(cents: u64, #[state] ran: &Ran) {
            ran.note(format!("old: {cents}"));
        }
    } => {
        #[deferred(name = "rolling/fixed")]
        pub async fn task(cents: u8, #[state] ran: &Ran) {
            ran.note(format!("unfixed: {cents}"));
        }
    }

    fixed {} => {
        #[derive(Deserialize)]
        pub struct Wide {
            cents: u64,
        }

        fn clamped(wide: Wide) -> TaskArgs {
            TaskArgs { cents: u8::try_from(wide.cents).unwrap_or(u8::MAX) }
        }

        #[deferred(name = "rolling/fixed", upgrade = clamped)]
        pub async fn task(cents: u8, #[state] ran: &Ran) {
            ran.note(format!("fixed: {cents}"));
        }
    }
}

#[tokio::test]
async fn a_fix_that_keeps_the_shape_has_what_was_refused_at_once() {
    use fixed::new as fixed;
    use unfixed::{new, old};
    assert_eq!(fixed::task::registration().shape(), new::task::registration().shape());
    for world in World::each().await {
        let (before, after) = (world.program::<new::task>(), world.program::<fixed::task>());
        let id = old::task::defer(256).on(&before).await.unwrap().id;
        assert_eq!(world.run(&before).await, [""; 0]);
        assert_eq!(world.record(&before, id).await.refusals, 1);
        assert_eq!(world.run(&after).await, ["fixed: 255"]);
    }
}

#[tokio::test]
async fn refused_values_are_counted_as_unroutable_where_they_were_refused() {
    use narrowed::{new, old};
    for world in World::each().await {
        let (before, after) = (world.program::<old::task>(), world.program::<new::task>());
        for cents in [255, 256, 257] {
            old::task::defer(cents).on(&after).await.unwrap();
        }
        assert_eq!(after.unroutable().await.unwrap(), [], "until they are read");
        assert_eq!(world.run(&after).await, ["new: 255"]);
        let lines = after.unroutable().await.unwrap();
        let [line] = &lines[..] else { panic!("{lines:?}") };
        assert_eq!((line.stats.scheduled, line.stats.due), (2, 0));
        assert!(line.reason.contains("could not read the values"), "{line}");
        assert!(!line.reason.contains("256"), "{line}");
        let refused: Vec<_> =
            after.stats_by_route().await.unwrap().iter().map(|line| line.refused()).collect();
        assert_eq!(refused.iter().sum::<u64>(), 2);
        assert_eq!(before.unroutable().await.unwrap(), [], "the old program has them at once");
        assert_eq!(world.run(&before).await.len(), 2);
        assert_eq!(after.unroutable().await.unwrap(), []);
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
        assert_eq!(record.refused_by, [new::task::registration().reader().unwrap()]);
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
