//! The gate against the rule in exact arithmetic.

use proptest::prelude::*;

use super::*;
use crate::queue::Rate;

const START: Timestamp = Timestamp::from_micros(1_700_000_000_000_000);

/// What one token counts in the reference: a millionth of a millionth is the smallest part.
const TOKEN: u128 = 1_000_000_000_000;

fn limits(rate: Option<u64>, burst: Option<u32>, concurrent: Option<u32>) -> RateLimits {
    let mut limits = RateLimits::NONE;
    if let Some(rate) = rate {
        limits = limits.with_rate(Rate::per_second(rate as f64 / 1e6));
    }
    if let Some(burst) = burst {
        limits = limits.with_burst(burst);
    }
    concurrent.map_or(limits, |concurrent| limits.with_concurrent(concurrent))
}

fn after(micros: u64) -> Timestamp {
    START.plus(Duration::from_micros(micros))
}

fn give(gate: &mut Gate, tasks: usize) {
    (0..tasks).for_each(|_| gate.give());
}

/// The rule as it is written: a bucket of a size, filled at a rate, and a number of places.
#[derive(Debug)]
struct Reference {
    rate: u64,
    size: u32,
    places: Option<u32>,
    /// Parts of a token.
    parts: u128,
    /// When the reference was looked at last, in microseconds.
    at: u64,
    live: u128,
}

impl Reference {
    fn at(&mut self, micros: u64) {
        let flown = u128::from(micros - self.at) * u128::from(self.rate);
        self.parts = (self.parts + flown).min(u128::from(self.size) * TOKEN);
        self.at = micros;
    }

    fn gives(&self) -> u128 {
        let places =
            self.places.map_or(u128::MAX, |most| u128::from(most).saturating_sub(self.live));
        (self.parts / TOKEN).min(places)
    }
}

#[test]
fn a_queue_with_a_rate_gives_its_burst_and_then_waits_for_tokens() {
    let limits = limits(Some(2_000_000), Some(3), None);
    let mut gate = Gate::new(limits, None, 7, START);
    assert_eq!((gate.gives(), gate.opens(), gate.changed_bucket()), (3, Opens::Now, None));
    give(&mut gate, 3);
    assert_eq!((gate.gives(), gate.opens()), (0, Opens::After(Duration::from_millis(500))));
    let stored = gate.changed_bucket();
    let next = Gate::new(limits, stored, 10, after(500_000));
    assert_eq!((next.gives(), next.opens(), next.changed_bucket()), (1, Opens::Now, None));
}

#[test]
fn a_queue_with_places_gives_what_they_leave_and_then_waits_for_an_end() {
    let limits = limits(None, Some(1), Some(3));
    let mut gate = Gate::new(limits, None, 1, START);
    assert_eq!((gate.gives(), gate.opens()), (2, Opens::Now));
    give(&mut gate, 2);
    assert_eq!((gate.gives(), gate.opens(), gate.changed_bucket()), (0, Opens::WhenOneEnds, None));
    assert_eq!(Gate::new(limits, None, 9, START).gives(), 0, "more run than are allowed now");
}

#[test]
fn a_queue_with_both_limits_waits_for_the_place_first() {
    let limits = limits(Some(1_000_000), Some(1), Some(1));
    let mut gate = Gate::new(limits, None, 0, START);
    assert_eq!(gate.gives(), 1);
    gate.give();
    assert_eq!(gate.opens(), Opens::WhenOneEnds);
    let ended = Gate::new(limits, gate.changed_bucket(), 0, START);
    assert_eq!((ended.gives(), ended.opens()), (0, Opens::After(Duration::from_secs(1))));
}

#[test]
fn a_bucket_is_stored_if_tokens_were_taken_or_the_clock_was_set_back() {
    let limits = limits(Some(1_000_000), Some(1), None);
    let mut gate = Gate::new(limits, None, 0, after(3_600_000_000));
    gate.give();
    let empty = gate.changed_bucket();
    assert!(empty.is_some());
    let back = Gate::new(limits, empty, 0, START);
    assert_eq!(back.gives(), 0);
    let counted = back.changed_bucket();
    assert!(counted.is_some(), "otherwise nothing flows in for an hour");
    assert_eq!(Gate::new(limits, counted, 0, after(1_000_000)).gives(), 1);
}

#[test]
fn tokens_are_given_back_to_a_bucket_that_is_not_full() {
    let (rate, none) = (limits(Some(1_000_000), Some(5), None), RateLimits::NONE);
    let mut gate = Gate::new(rate, None, 0, START);
    give(&mut gate, 4);
    let stored = gate.changed_bucket();
    let tokens = |bucket: Option<Bucket>| bucket.map(Bucket::tokens);
    assert_eq!(tokens(given_back(rate, stored, 2, START)), Some(3));
    assert_eq!(tokens(given_back(rate, stored, 9, START)), Some(5), "never more than its size");
    assert_eq!(tokens(given_back(rate, stored, 1, after(1_000_000))), Some(3));
    assert_eq!(given_back(rate, None, 2, START), None, "it is full");
    assert_eq!(given_back(rate, stored, 0, START), None);
    assert_eq!(given_back(none, stored, 2, START), None, "the queue has no rate any more");
}

proptest! {
    /// At each look the gate gives what the rule gives. A bucket loses less than a millionth of a
    /// token with each change, so it may be behind by one task, and is never ahead.
    #[test]
    fn a_gate_gives_what_the_rule_says(
        rate in 1..=5_000_000_000_u64,
        burst in 1..=500_u32,
        places in prop::option::of(1..=300_u32),
        steps in prop::collection::vec((0..=2_000_000_u64, 0..=400_usize, 0..=400_usize), 1..60),
    ) {
        let limits = limits(Some(rate), Some(burst), places);
        let parts = u128::from(burst) * TOKEN;
        let mut rule = Reference { rate, size: burst, places, parts, at: 0, live: 0 };
        let (mut now, mut stored) = (0, None);
        for (pause, ended, wanted) in steps {
            now += pause;
            rule.at(now);
            rule.live -= rule.live.min(ended as u128);
            let mut gate = Gate::new(limits, stored, rule.live as usize, after(now));
            let given = gate.gives() as u128;
            prop_assert!(given <= rule.gives() && given + 1 >= rule.gives(), "{gate:?} {rule:?}");
            let taken = wanted.min(gate.gives());
            give(&mut gate, taken);
            rule.parts -= taken as u128 * TOKEN;
            rule.live += taken as u128;
            stored = gate.changed_bucket().or(stored);
        }
    }

    /// Who comes when the gate opens gets a task, and who comes before gets none.
    #[test]
    fn a_gate_opens_when_it_says(
        rate in 1..=1_000_000_000_u64,
        burst in 1..=50_u32,
        places in 1..=50_u32,
        live in 0..=60_usize,
    ) {
        let limits = limits(Some(rate), Some(burst), Some(places));
        let mut gate = Gate::new(limits, None, live, START);
        let all = gate.gives();
        give(&mut gate, all);
        let then = |at| Gate::new(limits, gate.changed_bucket(), gate.live, at).gives();
        prop_assert_ne!(gate.opens(), Opens::Now);
        if let Opens::After(wait) = gate.opens() {
            prop_assert!(then(START.plus(wait)) >= 1);
            prop_assert_eq!(then(START.plus(wait - Duration::from_micros(1))), 0);
        } else {
            prop_assert!(gate.live >= places as usize);
        }
    }
}
