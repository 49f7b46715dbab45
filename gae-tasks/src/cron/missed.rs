//! What becomes of ticks that nobody was there for.

use std::time::Duration;

use super::Cron;
use crate::time::Timestamp;

/// A tick that is decided later than this after its time was missed.
pub(crate) const LATE: Duration = Duration::from_secs(60);

/// The most ticks that are made up for at once.
const MOST: u32 = 1_000;

/// What becomes of the ticks of a schedule that were missed, because no worker ran or none reached
/// the storage: those that are more than a minute ago when a worker looks.
///
/// Ticks of a pause, and those before a schedule was made or its expression changed, are not made
/// up for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Missed {
    /// One task is made for all of them, that of the last one.
    #[default]
    Once,
    /// No task is made for them.
    Skip,
    /// A task is made for each of the last ones, at most for this many: from 1 to 1,000.
    All(u32),
}

/// What a look at a schedule decides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Decided {
    /// The ticks of which tasks are made, in their order.
    pub(crate) ticks: Vec<Timestamp>,
    /// The ticks up to this moment are decided.
    pub(crate) since: Timestamp,
    /// The next tick, if there is one.
    pub(crate) next: Option<Timestamp>,
}

impl Missed {
    /// What is wrong with the number of ticks, if anything.
    pub(crate) fn problem(self) -> Option<String> {
        match self {
            Self::All(ticks) if !(1..=MOST).contains(&ticks) => Some(format!(
                "makes up for {ticks} missed ticks: use 1 to {MOST}, or `Missed::Skip`"
            )),
            _ => None,
        }
    }

    /// Decides about the ticks after `since` and not after `now`.
    pub(crate) fn decide(self, cron: &Cron, since: Timestamp, now: Timestamp) -> Decided {
        let Some(last) = cron.last_between(since, now) else {
            return Decided { ticks: Vec::new(), since, next: cron.next_after(since) };
        };
        let ticks = match self {
            Self::Once => vec![last],
            Self::Skip => Vec::from_iter((now.since(last) <= LATE).then_some(last)),
            Self::All(most) => last_of(cron, since, last, most),
        };
        Decided { ticks, since: last, next: cron.next_after(last) }
    }
}

/// The last ticks after `since`, at most this many, of which `last` is the last.
fn last_of(cron: &Cron, since: Timestamp, last: Timestamp, most: u32) -> Vec<Timestamp> {
    let before = |tick: &Timestamp| {
        cron.last_between(since, Timestamp::from_micros(tick.as_micros().saturating_sub(1)))
    };
    let most = usize::try_from(most).unwrap_or(usize::MAX);
    let mut ticks: Vec<_> = std::iter::successors(Some(last), before).take(most).collect();
    ticks.reverse();
    ticks
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn cron(text: &str) -> Cron {
        Cron::parse(text).unwrap()
    }

    fn time(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    /// The ticks that a look decides to make tasks of, after hours without one.
    fn after_a_night(missed: Missed, expression: &str, now: &str) -> Vec<String> {
        let since = time("2026-03-02T18:00:00Z");
        let decided = missed.decide(&cron(expression), since, time(now));
        decided.ticks.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn missed_ticks_are_made_up_for_once() {
        let ticks = after_a_night(Missed::Once, "0 * * * *", "2026-03-03T06:30:00Z");
        assert_eq!(ticks, ["2026-03-03T06:00:00Z"]);
    }

    #[test]
    fn ticks_of_a_minute_ago_are_on_time_and_older_ones_are_skipped() {
        for (now, expected) in [
            ("2026-03-03T06:01:00Z", &["2026-03-03T06:00:00Z"][..]),
            ("2026-03-03T06:01:00.000001Z", &[][..]),
        ] {
            assert_eq!(after_a_night(Missed::Skip, "0 * * * *", now), expected, "{now}");
        }
    }

    #[test]
    fn all_missed_ticks_are_the_last_ones_in_their_order() {
        let all = |most| after_a_night(Missed::All(most), "0 * * * *", "2026-03-03T06:30:00Z");
        assert_eq!(all(1), ["2026-03-03T06:00:00Z"]);
        assert_eq!(all(3), [4, 5, 6].map(|hour| format!("2026-03-03T0{hour}:00:00Z")));
        assert_eq!(all(1_000).len(), 12, "there were no more");
    }

    #[test]
    fn a_look_before_the_next_tick_decides_nothing() {
        let (since, now) = (time("2026-03-02T18:00:00Z"), time("2026-03-02T18:59:59Z"));
        let decided = Missed::Once.decide(&cron("0 * * * *"), since, now);
        let next = Some(time("2026-03-02T19:00:00Z"));
        assert_eq!(decided, Decided { ticks: Vec::new(), since, next });
        let set_back = Missed::Once.decide(&cron("0 * * * *"), since, time("2026-03-02T17:00:00Z"));
        assert_eq!(set_back, decided, "a clock that was set back repeats no tick");
    }

    #[test]
    fn an_interval_goes_on_from_the_minute_of_its_last_tick() {
        let since = time("2026-03-02T18:02:03Z");
        let decided =
            Missed::Once.decide(&cron("every 5 minutes"), since, time("2026-03-02T19:00:00Z"));
        assert_eq!(decided.ticks, [time("2026-03-02T18:57:00Z")]);
        assert_eq!(decided.next, Some(time("2026-03-02T19:02:00Z")));
    }

    #[test]
    fn the_number_of_ticks_has_limits() {
        for (missed, is_refused) in [
            (Missed::All(0), true),
            (Missed::All(1), false),
            (Missed::All(1_000), false),
            (Missed::All(1_001), true),
            (Missed::Once, false),
            (Missed::Skip, false),
        ] {
            assert_eq!(missed.problem().is_some(), is_refused, "{missed:?}");
        }
    }

    proptest! {
        /// However often and at whatever times workers look, and whatever a clock says between two
        /// looks: each tick is decided once, and none is left out that `All` may make up for.
        #[test]
        fn every_tick_is_decided_once(
            expression in prop::sample::select(vec![
                "* * * * *", "*/5 * * * *", "17 3 * * *", "every 7 minutes",
                "30 2 * * * (Europe/Paris)",
            ]),
            steps in prop::collection::vec(-5_i64..3_600, 1..60),
        ) {
            let (cron, begin) = (cron(expression), time("2026-03-28T20:00:30Z"));
            let (mut since, mut now, mut latest) = (begin, begin, begin);
            let mut ticks = Vec::new();
            for step in steps {
                now = Timestamp::from_micros(now.as_micros() + step * 1_000_000);
                latest = latest.max(now);
                let decided = Missed::All(MOST).decide(&cron, since, now);
                prop_assert!(decided.next.is_none_or(|next| next > decided.since));
                ticks.extend(decided.ticks);
                since = decided.since;
            }
            let expected: Vec<_> = cron.ticks_between(begin, latest).collect();
            prop_assert_eq!(ticks, expected);
        }

        /// Once and skip make at most one task a look, of the last tick.
        #[test]
        fn at_most_one_tick_is_made_up_for(
            seconds in 0_i64..1_000_000, skips in any::<bool>(),
        ) {
            let (cron, since) = (cron("*/10 * * * *"), time("2026-03-28T20:00:30Z"));
            let now = Timestamp::from_micros(since.as_micros() + seconds * 1_000_000);
            let missed = if skips { Missed::Skip } else { Missed::Once };
            let decided = missed.decide(&cron, since, now);
            prop_assert!(decided.ticks.len() <= 1);
            let last = cron.ticks_between(since, now).last();
            prop_assert_eq!(decided.since, last.unwrap_or(since));
            if let Some(tick) = decided.ticks.first() {
                prop_assert_eq!(Some(*tick), last);
            } else if let Some(last) = last {
                prop_assert!(skips && now.since(last) > LATE);
            }
        }
    }
}
