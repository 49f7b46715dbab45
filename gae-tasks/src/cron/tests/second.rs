//! Ticks of a year as a second implementation finds them: each minute of 2028, one by one, by the
//! rule, without a library's calendar.

use super::*;

/// A field as text, and which values it names.
struct Field {
    text: String,
    names: Vec<bool>,
}

/// A generator of numbers, so that each run has the same expressions.
struct Random(u64);

impl Random {
    /// A number below `end`.
    fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % end
    }

    fn between(&mut self, least: usize, most: usize) -> usize {
        least + self.below((most - least + 1) as u64) as usize
    }
}

impl Field {
    /// A field that is `*` so many times of eight, has a step as often, and else is a list.
    fn random(random: &mut Random, least: usize, most: usize, stars: u64) -> Self {
        let mut names = vec![false; most + 1];
        let kind = random.below(8);
        if kind < stars {
            names[least..].fill(true);
            return Self { text: "*".to_owned(), names };
        }
        if kind < 2 * stars {
            let step = random.between(2, most);
            (least..=most).step_by(step).for_each(|value| names[value] = true);
            return Self { text: format!("*/{step}"), names };
        }
        let mut items = Vec::new();
        for _ in 0..random.between(1, 3) {
            let first = random.between(least, most);
            let last = random.between(first, most.min(first + 4));
            let step = random.between(1, 3);
            (first..=last).step_by(step).for_each(|value| names[value] = true);
            items.push(match (first == last, step) {
                (true, _) => format!("{first}"),
                (false, 1) => format!("{first}-{last}"),
                (false, step) => format!("{first}-{last}/{step}"),
            });
        }
        Self { text: items.join(","), names }
    }

    fn is_star(&self) -> bool {
        self.text.starts_with('*')
    }
}

struct Expression {
    minute: Field,
    hour: Field,
    day: Field,
    month: Field,
    weekday: Field,
}

impl Expression {
    fn random(random: &mut Random) -> Self {
        let minute = random.between(0, 59);
        let mut names = vec![false; 60];
        names[minute] = true;
        // One minute mostly, as each tick takes time.
        let minute = match random.below(3) {
            0 => Field::random(random, 0, 59, 0),
            _ => Field { text: minute.to_string(), names },
        };
        Self {
            minute,
            hour: Field::random(random, 0, 23, 1),
            day: Field::random(random, 1, 31, 3),
            month: Field::random(random, 1, 12, 3),
            weekday: Field::random(random, 0, 7, 3),
        }
    }

    fn text(&self) -> String {
        let fields = [&self.minute, &self.hour, &self.day, &self.month, &self.weekday];
        fields.map(|field| field.text.as_str()).join(" ")
    }

    fn is_day(&self, month: usize, day: usize, weekday: usize) -> bool {
        let of_month = self.day.names[day];
        let of_week = self.weekday.names[weekday] || weekday == 0 && self.weekday.names[7];
        let is_named = match self.day.is_star() || self.weekday.is_star() {
            true => of_month && of_week,
            false => of_month || of_week,
        };
        is_named && self.month.names[month]
    }

    /// The minutes of 2028, from its beginning, that are named.
    fn minutes(&self) -> Vec<i64> {
        let mut named = Vec::new();
        // The year begins on a Saturday, and has a leap day.
        let (mut minute, mut weekday) = (0, 6);
        for (month, days) in [31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31].iter().enumerate() {
            for day in 1..=*days {
                let is_day = self.is_day(month + 1, day, weekday);
                for of_day in 0..24 * 60 {
                    let is_time = self.hour.names[of_day / 60] && self.minute.names[of_day % 60];
                    if is_day && is_time {
                        named.push(minute);
                    }
                    minute += 1;
                }
                weekday = (weekday + 1) % 7;
            }
        }
        named
    }
}

#[test]
fn a_year_of_200_expressions_is_the_same() {
    let begin = at("2028-01-01 00:00");
    let (before, last) = (begin.minus(Duration::from_micros(1)), at("2028-12-31 23:59"));
    let mut random = Random(0x9E37_79B9_7F4A_7C15);
    let mut with_ticks = 0;
    for _ in 0..200 {
        let expression = Expression::random(&mut random);
        let (text, expected) = (expression.text(), expression.minutes());
        let ticks = match Cron::parse(&text) {
            Ok(cron) => cron.ticks_between(before, last).collect::<Vec<_>>(),
            Err(error) => {
                assert!(error.to_string().contains("never comes"), "{error}");
                Vec::new()
            }
        };
        let minute = |tick: &Timestamp| (tick.as_micros() - begin.as_micros()) / 60_000_000;
        assert_eq!(ticks.iter().map(minute).collect::<Vec<_>>(), expected, "{text}");
        with_ticks += usize::from(!expected.is_empty());
    }
    assert!(with_ticks > 150, "{with_ticks}");
}
