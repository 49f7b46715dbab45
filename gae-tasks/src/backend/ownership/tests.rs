//! Tests of what becomes of schedules.

use proptest::prelude::*;

use super::*;
use crate::time::Now;

const MINUTE: Duration = Duration::from_secs(60);

fn at(minutes: i64) -> Timestamp {
    Timestamp::from_micros(1_800_000_000_000_000 + minutes * 60_000_000)
}

/// The schedules of one program, as a backend stores them.
#[derive(Debug, Default, Clone)]
struct World(BTreeMap<String, StoredSchedule>);

impl World {
    /// Stores the schedules of a revision of the program, each with the text of what it stores.
    fn declare(
        &mut self,
        now: Timestamp,
        revision: i64,
        schedules: &[(&str, &str)],
    ) -> SchedulesPut {
        self.put(now, Some(revision), schedules)
    }

    fn put(
        &mut self,
        now: Timestamp,
        revision: Option<i64>,
        schedules: &[(&str, &str)],
    ) -> SchedulesPut {
        let new = |(name, cron): &(&str, &str)| NewSchedule::new(*name, *cron, vec![1]);
        let request = PutSchedules {
            revision,
            ..PutSchedules::new(Now::At(now), "shop", schedules.iter().map(new).collect())
        };
        let plan = Plan::of(&request, self.0.values().cloned(), now);
        for name in &plan.answer.stopped {
            self.0.remove(name);
        }
        for written in plan.written {
            self.0.insert(written.key.name.clone(), written);
        }
        plan.answer
    }

    fn change(&mut self, now: Timestamp, name: &str, change: ScheduleChange) -> ScheduleChanged {
        let key = ScheduleKey::new("shop", name);
        let request = ChangeSchedule::new(Now::At(now), key, change);
        match super::change(self.0.get(name).cloned(), &request, now) {
            Change::None(answer) => return answer,
            Change::Written(written) => _ = self.0.insert(name.to_owned(), written),
            Change::Deleted => _ = self.0.remove(name),
        }
        ScheduleChanged::Done
    }

    fn cron(&self, name: &str) -> Option<&str> {
        Some(&self.0.get(name)?.cron)
    }

    fn names(&self) -> Vec<&str> {
        self.0.keys().map(String::as_str).collect()
    }
}

#[test]
fn the_newest_revision_wins_whoever_declares_when() {
    let mut world = World::default();
    world.declare(at(0), 1, &[("a", "old")]);
    world.declare(at(1), 2, &[("a", "new")]);
    for minute in 2..30 {
        let answer = world.declare(at(minute), 1, &[("a", "old")]);
        assert_eq!(answer.schedules, [SchedulePut::Newer(2)]);
        let before = world.0["a"].mark;
        world.declare(at(minute), 2, &[("a", "new")]);
        assert_eq!((world.cron("a"), world.0["a"].mark), (Some("new"), before), "they alternate");
    }
}

#[test]
fn a_schedule_that_a_newer_revision_lacks_ends_ten_minutes_after_the_last_worker_that_declares_it()
{
    let mut world = World::default();
    world.declare(at(0), 1, &[("a", "x"), ("b", "x")]);
    world.declare(at(3), 2, &[("a", "x")]);
    world.declare(at(4), 1, &[("a", "x"), ("b", "x")]);
    let just_before = at(14).minus(Duration::from_micros(1));
    assert!(world.declare(just_before, 2, &[("a", "x")]).stopped.is_empty());
    assert_eq!(world.names(), ["a", "b"], "a worker that declares it was seen");
    assert_eq!(world.declare(at(14), 2, &[("a", "x")]).stopped, ["b"]);
    assert_eq!(world.names(), ["a"]);
}

#[test]
fn no_revision_ends_what_its_own_or_a_newer_one_declares() {
    for revision in [1, 2] {
        let mut world = World::default();
        world.declare(at(0), 2, &[("a", "x"), ("b", "x")]);
        assert!(world.declare(at(60), revision, &[("a", "x")]).stopped.is_empty());
        assert_eq!(world.names(), ["a", "b"], "by revision {revision}");
    }
}

#[test]
fn a_rollback_brings_back_what_only_the_older_revision_declares() {
    let mut world = World::default();
    world.declare(at(0), 1, &[("a", "old"), ("b", "x")]);
    world.declare(at(20), 2, &[("a", "new")]);
    assert_eq!(world.names(), ["a"]);
    world.declare(at(30), 1, &[("a", "old"), ("b", "x")]);
    world.declare(at(31), 2, &[("a", "new")]);
    assert_eq!((world.names(), world.cron("a")), (vec!["a", "b"], Some("new")));
}

#[test]
fn what_two_workers_of_a_revision_declare_differently_stays_as_it_is() {
    let mut world = World::default();
    world.declare(at(0), 1, &[("a", "one")]);
    assert_eq!(world.declare(at(1), 1, &[("a", "other")]).schedules, [SchedulePut::Differs]);
    assert_eq!(world.cron("a"), Some("one"));
}

/// Builds that are made reproducibly may all have one revision.
#[test]
fn another_build_of_the_same_revision_wins_once_the_first_one_is_gone() {
    let mut world = World::default();
    world.declare(at(0), 1, &[("a", "one")]);
    for minute in 1..20 {
        world.declare(at(minute), 1, &[("a", "one")]);
        assert_eq!(
            world.declare(at(minute), 1, &[("a", "other")]).schedules,
            [SchedulePut::Differs]
        );
    }
    let just_before = at(29).minus(Duration::from_micros(1));
    let put = world.declare(just_before, 1, &[("a", "other")]).schedules;
    assert_eq!((put, world.cron("a")), (vec![SchedulePut::Differs], Some("one")));
    let put = world.declare(at(29), 1, &[("a", "other")]).schedules;
    assert_eq!((put, world.cron("a")), (vec![SchedulePut::Changed], Some("other")));
    for minute in 30..60 {
        let put = world.declare(at(minute), 1, &[("a", "one")]).schedules;
        assert_eq!(put, [SchedulePut::Differs], "they alternate");
        world.declare(at(minute), 1, &[("a", "other")]);
    }
}

#[test]
fn a_clock_that_is_set_back_a_little_makes_no_decided_tick_count_again() {
    let second = |seconds: u64| at(10).minus(Duration::from_secs(seconds));
    // The tick at minute 10 is decided, and the clock is set back.
    for (now, since) in [(second(5), at(10)), (second(60), at(10)), (second(61), second(61))] {
        let mut world = World::default();
        world.declare(at(0), 1, &[("a", "x"), ("b", "x")]);
        for schedule in world.0.values_mut() {
            schedule.since = at(10);
        }
        world.change(now, "a", ScheduleChange::Pause);
        world.change(now, "a", ScheduleChange::Resume);
        world.declare(now, 2, &[("a", "x"), ("b", "y")]);
        let facts = |name: &str| (world.0[name].since, world.0[name].next);
        assert_eq!((facts("a"), facts("b")), ((since, Some(now)), (since, Some(now))));
    }
}

#[test]
fn declared_schedules_and_others_do_not_take_each_others_names() {
    let mut world = World::default();
    world.put(at(0), None, &[("a", "x")]);
    assert_eq!(world.declare(at(1), 9, &[("a", "y"), ("b", "y")]).schedules[0], SchedulePut::Taken);
    assert_eq!(world.put(at(2), None, &[("b", "x")]).schedules, [SchedulePut::Taken]);
    assert_eq!((world.cron("a"), world.cron("b")), (Some("x"), Some("y")));
    world.declare(at(60), 10, &[]);
    assert_eq!(world.names(), ["a"], "no declaration ends what was made at run time");
}

#[test]
fn another_expression_counts_from_its_declaration_and_another_content_goes_on() {
    let mut world = World::default();
    world.declare(at(0), 1, &[("a", "x"), ("b", "x")]);
    let other = NewSchedule::new("a", "x", vec![1, 2]);
    let schedules = vec![other, NewSchedule::new("b", "y", vec![1])];
    let request =
        PutSchedules { revision: Some(2), ..PutSchedules::new(Now::At(at(5)), "shop", schedules) };
    let plan = Plan::of(&request, world.0.values().cloned(), at(5));
    let facts = |stored: &StoredSchedule| (stored.since, stored.next, stored.revision);
    assert_eq!(facts(&plan.written[0]), (at(0), Some(at(5)), Some(2)));
    assert_eq!(facts(&plan.written[1]), (at(5), Some(at(5)), Some(2)));
    assert_ne!(plan.written[0].mark, world.0["a"].mark, "a tick that is under way must fail");
}

#[test]
fn a_worker_is_noted_at_most_once_a_minute() {
    let mut world = World::default();
    world.declare(at(0), 1, &[("a", "x")]);
    for (seconds, seen) in [(59, at(0)), (60, at(1)), (61, at(1)), (120, at(2))] {
        world.declare(at(0).plus(Duration::from_secs(seconds)), 1, &[("a", "x")]);
        assert_eq!(world.0["a"].seen, seen, "after {seconds} s");
    }
}

#[test]
fn a_pause_outlives_declarations_and_its_ticks_are_not_made_up_for() {
    let mut world = World::default();
    world.declare(at(0), 1, &[("a", "x")]);
    assert_eq!(world.change(at(1), "a", ScheduleChange::Pause), ScheduleChanged::Done);
    world.declare(at(2), 2, &[("a", "y")]);
    assert!(world.0["a"].paused);
    assert_eq!(world.change(at(9), "a", ScheduleChange::Resume), ScheduleChanged::Done);
    let resumed = &world.0["a"];
    assert_eq!((resumed.paused, resumed.since, resumed.next), (false, at(9), Some(at(9))));
    assert_eq!(world.change(at(9), "b", ScheduleChange::Pause), ScheduleChanged::Missing);
}

#[test]
fn only_what_nobody_declares_any_more_is_removed_by_hand() {
    let mut world = World::default();
    world.declare(at(0), 1, &[("a", "x")]);
    world.put(at(0), None, &[("b", "x")]);
    assert_eq!(world.change(at(9), "a", ScheduleChange::Remove), ScheduleChanged::Declared);
    assert_eq!(world.change(at(9), "b", ScheduleChange::Remove), ScheduleChanged::Done);
    assert_eq!(world.change(at(10), "a", ScheduleChange::Remove), ScheduleChanged::Done);
    assert!(world.0.is_empty());
}

#[test]
fn a_move_is_made_once_and_not_in_a_pause() {
    let mut world = World::default();
    world.put(at(0), None, &[("a", "x")]);
    let read = world.0["a"].clone();
    let made =
        TickMove { since: at(1), last_tick: Some(at(1)), ..TickMove::new(&read, Some(at(2))) };
    let after = moved(&read, &made).expect("nothing has changed");
    assert_eq!((after.since, after.last_tick, after.next), (at(1), Some(at(1)), Some(at(2))));
    assert_eq!(moved(&after, &made), None, "it was made already");
    world.change(at(1), "a", ScheduleChange::Pause);
    assert_eq!(moved(&world.0["a"], &made), None, "it is paused");
    let none = TickMove::new(&after, None);
    assert_eq!(moved(&after, &none).expect("it moves").last_tick, Some(at(1)), "it is kept");
}

proptest! {
    /// Whatever the order in which workers of several revisions come and go, every schedule is as
    /// the newest of them that declares it has it, from its first declaration on.
    #[test]
    fn the_order_of_workers_does_not_matter(
        calls in prop::collection::vec((0..4_i64, 0..60_u32), 1..60),
    ) {
        // Revision `r` declares the schedules `r` and above, with its own number.
        let names = ["0", "1", "2", "3"];
        let (mut world, mut now, mut newest) = (World::default(), at(0), [None; 4]);
        for (revision, seconds) in calls {
            now = now.plus(Duration::from_secs(u64::from(seconds)));
            let cron = revision.to_string();
            let first = usize::try_from(revision).unwrap();
            let declared = names[first..].iter().map(|name| (*name, cron.as_str()));
            let declared: Vec<_> = declared.collect();
            let stopped = world.declare(now, revision, &declared).stopped;
            for newest in &mut newest[first..] {
                *newest = (*newest).max(Some(revision));
            }
            for name in stopped {
                let place: usize = name.parse().unwrap();
                prop_assert!(i64::try_from(place).unwrap() < revision, "{name} is declared");
                newest[place] = None;
            }
            for (place, newest) in newest.iter().enumerate() {
                let expected = newest.map(|newest| newest.to_string());
                prop_assert_eq!(world.cron(names[place]), expected.as_deref());
            }
        }
    }

    /// A schedule whose program is seen at least every nine minutes never ends.
    #[test]
    fn what_is_declared_all_the_time_goes_on(
        pauses in prop::collection::vec(0..9_u32, 1..40),
    ) {
        let (mut world, mut now) = (World::default(), at(0));
        world.declare(now, 1, &[("a", "x")]);
        for minutes in pauses {
            // A newer revision without it looks just before.
            now = now.plus(MINUTE * minutes);
            world.declare(now, 2, &[]);
            prop_assert_eq!(world.names(), ["a"]);
            world.declare(now, 1, &[("a", "x")]);
        }
    }
}
