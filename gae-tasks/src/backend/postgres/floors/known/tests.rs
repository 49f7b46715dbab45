//! No scan from floors misses a row, if late rows are told.

use proptest::prelude::*;

use super::*;
use crate::backend::postgres::epoch::Epochs;

const MS: Duration = Duration::from_millis(1);

/// A survey that passes so many entries that floors are used.
const MANY: i64 = 100_000;

/// The first task of a lane, due at a millisecond.
fn head(lane: i64, rank: i16, due: u64) -> Head {
    let due = Timestamp::from_micros(0).plus(MS * u32::try_from(due).unwrap());
    Head { lane, rank, is_timed: false, due, task: Uuid::from_u128(u128::from(u64::MAX)) }
}

/// A world with two clocks that go alike.
struct World {
    known: Known,
    epoch: Epoch,
    begun: Instant,
    /// Milliseconds since the beginning.
    now: u64,
}

impl World {
    fn new() -> Self {
        let (known, epoch) = (Known::default(), Epoch::default());
        Self { known, epoch, begun: Instant::now(), now: 10_000 }
    }

    /// A world in which a survey of these heads has just passed many entries.
    fn costly(heads: Vec<Head>) -> Self {
        let mut world = Self::new();
        world.survey(heads, MANY, 1);
        world
    }

    fn at(&self) -> Instant {
        self.begun + MS * u32::try_from(self.now).unwrap()
    }

    fn scan(&self, heads: Vec<Head>) -> Scan {
        let now = Timestamp::from_micros(0).plus(MS * u32::try_from(self.now).unwrap());
        Scan { now, changes: 0, heads }
    }

    fn begin(&mut self) -> Begun {
        self.known.begin(self.epoch, self.at())
    }

    fn start(&mut self) -> Option<Start> {
        self.begin().start
    }

    /// Surveys at once.
    fn survey(&mut self, heads: Vec<Head>, passed: i64, lanes: i64) -> bool {
        let (begun, scan) = (self.begin(), self.scan(heads));
        self.known.surveyed(&begun, &Survey { scan, passed, lanes }, self.at())
    }

    /// Scans from the floors at once, and finds these heads.
    fn find(&mut self, heads: Vec<Head>) {
        let (begun, scan) = (self.begin(), self.scan(heads));
        assert!(begun.start.is_some() && self.known.found(&begun, &scan, self.at()));
    }

    /// Returns the millisecond from which on a scan looks for clear tasks of other lanes.
    fn since(&mut self) -> u64 {
        let start = self.start().expect("floors are used");
        u64::try_from(start.since.as_micros()).unwrap() / 1_000
    }
}

#[test]
fn floors_are_used_only_while_surveys_pass_many_entries() {
    let mut world = World::new();
    assert_eq!(world.start(), None);
    world.survey(vec![], FEW, 1);
    assert_eq!(world.start(), None);
    world.survey(vec![], FEW + 1, 1);
    assert!(world.start().is_some());
    world.survey(vec![], FEW + 1, FEW);
    assert_eq!(world.start(), None, "many lanes cost more than the entries");
    world.survey(vec![], MANY, 1);
    assert!(world.start().is_some());
    world.survey(vec![], 0, 1);
    assert_eq!(world.start(), None);
}

#[test]
fn floors_are_not_used_without_surveys() {
    let mut world = World::costly(vec![]);
    world.now += 59_000;
    assert!(world.start().is_some() && world.known.are_used(world.at()));
    world.now += 1_000;
    assert!(world.start().is_none() && !world.known.are_used(world.at()));
}

#[test]
fn a_scan_begins_at_the_first_task_and_elsewhere_a_little_before_the_last_look() {
    let mut world = World::costly(vec![head(1, 0, 4_000), head(2, 0, 9_999), head(2, 1, 9_999)]);
    let marked = Head { task: Uuid::nil(), ..head(2, 1, 9_900) };
    let start = world.start().unwrap();
    assert_eq!(start.heads, [head(1, 0, 4_000), marked]);
    assert_eq!(world.since(), 9_900);
    world.now += 50;
    world.find(vec![head(1, 0, 5_000)]);
    assert_eq!((world.start().unwrap().heads, world.since()), (vec![head(1, 0, 5_000)], 9_950));
    world.now += 1_000;
    world.find(vec![]);
    assert_eq!((world.start().unwrap().heads, world.since()), (vec![], 10_950));
}

#[test]
fn a_late_task_lowers_the_floors() {
    let mut world = World::costly(vec![head(1, 0, 9_000), head(2, 0, 3_000)]);
    world.now += 20;
    world.known.late(MS * 2_000, world.at());
    // A slack before it.
    let lowered = Head { task: Uuid::nil(), ..head(1, 0, 7_920) };
    assert_eq!(world.start().unwrap().heads, [lowered, head(2, 0, 3_000)]);
    assert_eq!(world.since(), 7_920);
    world.find(vec![]);
    assert_eq!(world.since(), 9_920, "until somebody has looked");
}

#[test]
fn a_late_task_counts_for_scans_that_have_begun() {
    let mut world = World::costly(vec![]);
    for is_survey in [false, true] {
        let (begun, scan) = (world.begin(), world.scan(vec![]));
        world.now += 10;
        world.known.late(MS * 3_000, world.at());
        world.now += 10;
        let (at, from) = (world.at(), world.now);
        if is_survey {
            world.known.surveyed(&begun, &Survey { scan, passed: MANY, lanes: 1 }, at);
        } else {
            world.known.found(&begun, &scan, at);
        }
        // The clock is known as of the answer only.
        assert_eq!(world.since(), from - 20 - 10 - 3_000 - 100);
        world.find(vec![]);
    }
}

#[test]
fn a_task_of_long_ago_has_everything_looked_at_once() {
    for age in [OLD + MS, Duration::MAX] {
        let mut world = World::costly(vec![]);
        let (begun, scan) = (world.begin(), world.scan(vec![]));
        world.known.late(age, world.at());
        assert_eq!(world.start(), None);
        assert!(world.known.found(&begun, &scan, world.at()));
        assert_eq!(world.start(), None, "the scan may have missed it");
        let (begun, scan) = (world.begin(), world.scan(vec![]));
        world.known.found_all(&begun, &scan, world.at());
        assert_eq!(world.since(), 9_900);
    }
}

#[test]
fn a_scan_that_another_one_has_overtaken_shows_nothing() {
    let mut world = World::costly(vec![]);
    let (begun, scan) = (world.begin(), world.scan(vec![]));
    world.survey(vec![head(1, 0, 2_000)], MANY, 1);
    world.now += 10;
    assert!(world.known.found(&begun, &scan, world.at()));
    assert_eq!(world.start().unwrap().heads, [head(1, 0, 2_000)]);
}

#[test]
fn a_clock_that_was_set_back_makes_floors_worthless() {
    let mut world = World::costly(vec![]);
    let begun = world.begin();
    let scan = Scan { now: Timestamp::from_micros(9_999_000), ..world.scan(vec![]) };
    assert!(!world.known.found(&begun, &scan, world.at()));
    assert_eq!(world.start(), None);
    world.known.found_all(&begun, &scan, world.at());
    assert_eq!(world.since(), 9_899);
}

#[test]
fn another_epoch_knows_nothing_of_the_one_before() {
    let mut world = World::costly(vec![]);
    let (begun, scan) = (world.begin(), world.scan(vec![]));
    let epochs = Epochs::default();
    epochs.end();
    world.epoch = epochs.current();
    assert_eq!(world.start(), None);
    world.known.found_all(&begun, &scan, world.at());
    assert!(!world.known.surveyed(&begun, &Survey { scan, passed: MANY, lanes: 1 }, world.at()));
    assert_eq!(world.start(), None, "they have looked at another server");
}

#[test]
fn a_survey_tells_of_tasks_before_the_floors() {
    let mut world = World::costly(vec![head(1, 0, 4_000)]);
    assert!(!world.survey(vec![head(1, 0, 4_000), head(2, 0, 9_950)], MANY, 1));
    assert!(world.survey(vec![head(1, 0, 4_000), head(2, 0, 9_899)], MANY, 1));
    assert!(world.survey(vec![head(2, 1, 9_950)], MANY, 1), "nobody looks for marked tasks there");
    assert!(!world.survey(vec![head(2, 1, 9_950)], MANY, 1));
}

#[test]
fn a_guess_is_raised_to_the_floor() {
    let mut world = World::costly(vec![head(1, 0, 4_000)]);
    let (epoch, at) = (world.epoch, world.at());
    let raised = |known: &Known, from| known.raise(epoch, from, at);
    let floor = |lane, due| Head { task: Uuid::nil(), ..head(lane, 0, due) };
    assert_eq!(raised(&world.known, head(1, 0, 3_000)), head(1, 0, 4_000));
    assert_eq!(raised(&world.known, head(1, 0, 5_000)), head(1, 0, 5_000));
    assert_eq!(raised(&world.known, head(2, 0, 3_000)), floor(2, 9_900));
    assert_eq!(raised(&world.known, head(2, 1, 3_000)), head(2, 1, 3_000));
    world.survey(vec![], 0, 1);
    assert_eq!(raised(&world.known, head(2, 0, 3_000)), head(2, 0, 3_000), "they are not used");
}

#[test]
fn many_late_tasks_are_remembered_together() {
    let mut world = World::costly(vec![]);
    let (begun, scan) = (world.begin(), world.scan(vec![]));
    let from = world.now;
    world.known.late(MS * 5_000, world.at());
    for _ in 0..3 * MOST {
        world.now += 1;
        world.known.late(MS * 60, world.at());
    }
    assert_eq!(world.known.late.last.len(), MOST);
    world.known.found(&begun, &scan, world.at());
    assert!(world.since() <= from - 5_000, "{}", world.since());
}

/// A step of the world: its kind, two small numbers.
type Step = (u8, u8, u8);

/// Scans that are under way, with what each has found.
type UnderWay = Vec<(Begun, Scan)>;

/// Returns the first task of each group that waits from a start on; without one, of all groups.
fn firsts(waiting: &[Head], start: Option<&Start>) -> Vec<Head> {
    let is_found = |head: &&Head| {
        start.is_none_or(|start| start.floor(head).is_some_and(|floor| head.place() >= floor))
    };
    let mut firsts = std::collections::BTreeMap::new();
    for head in waiting.iter().filter(is_found) {
        let first = firsts.entry(head.group()).or_insert(*head);
        if head.place() < first.place() {
            *first = *head;
        }
    }
    firsts.into_values().collect()
}

/// Takes a step, and checks that a scan that begins finds what one of everything finds.
fn step(world: &mut World, waiting: &mut Vec<Head>, under_way: &mut UnderWay, step: Step) {
    let (kind, one, other) = step;
    world.now += u64::from(other % 16);
    match kind % 5 {
        // A task waits that got its place a while ago.
        0 => {
            let age = u64::from(one) * u64::from(one) / 8;
            let rank = i16::from(one % 16 == 0);
            let place =
                Head { task: Uuid::from_u128(u128::from(other)), ..head(1, rank, world.now - age) };
            waiting.push(Head { lane: i64::from(other % 3), ..place });
            let told = if rank > 0 { Duration::MAX } else { MS * u32::try_from(age).unwrap() };
            if told > crate::backend::postgres::floors::LATE {
                world.known.late(told, world.at());
            }
        }
        1 if !waiting.is_empty() => _ = waiting.swap_remove(usize::from(one) % waiting.len()),
        2 => {
            let begun = world.begin();
            let all = firsts(waiting, None);
            let found = firsts(waiting, begun.start.as_ref());
            assert_eq!(found, all, "{:?}", begun.start);
            under_way.push((begun, world.scan(found)));
        }
        3 if !under_way.is_empty() => {
            let (begun, scan) = under_way.swap_remove(usize::from(one) % under_way.len());
            match begun.start.is_some() {
                true => _ = world.known.found(&begun, &scan, world.at()),
                false => world.known.found_all(&begun, &scan, world.at()),
            }
        }
        4 => _ = world.survey(firsts(waiting, None), MANY, 1),
        _ => {}
    }
}

proptest! {
    /// Whatever waits is found, if those who are late say so, in whatever order scans end.
    #[test]
    fn nothing_waits_before_the_floors(steps in prop::collection::vec(any::<Step>(), 1..400)) {
        let mut world = World::costly(vec![]);
        let (mut waiting, mut under_way) = (Vec::new(), Vec::new());
        for one in steps {
            step(&mut world, &mut waiting, &mut under_way, one);
        }
    }
}
