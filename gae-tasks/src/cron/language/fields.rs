//! The five fields of a cron expression: what each may hold, and the search for the times that all
//! of them name.

use chrono::{NaiveDate, NaiveDateTime};
use croner::parser::{CronParser, Seconds, Year};
use croner::{Cron, YEAR_UPPER_LIMIT};

use super::words::{MONTHS, WEEKDAYS, is_number, nearest, position, short};

/// A cron expression of five fields.
#[derive(Debug, Clone)]
pub(crate) struct Fields {
    cron: Cron,
    follows_the_clock: bool,
}

impl Fields {
    /// Reads an expression, and returns it with its canonical text: in capitals, with single
    /// spaces.
    ///
    /// # Errors
    /// Everything that is wrong with the fields, or that they name no time at all.
    pub(super) fn read(text: &str) -> Result<(String, Self), Vec<String>> {
        let text = text.to_ascii_uppercase();
        let fields: Vec<_> = text.split_whitespace().collect();
        let Ok([_, hour, day, _, weekday]) = <[&str; 5]>::try_from(fields.as_slice()) else {
            return Err(vec![another_number(&fields)]);
        };
        let problems: Vec<_> =
            FIELDS.iter().zip(&fields).flat_map(|(field, text)| field.problems(text)).collect();
        if !problems.is_empty() {
            return Err(problems);
        }
        // As Vixie's cron has it: a field that begins with `*` restricts the other one.
        let both = day.starts_with('*') || weekday.starts_with('*');
        let follows_the_clock = hour.contains(['*', '/']);
        let text = fields.join(" ");
        let cron = parser(both).parse(&text).map_err(|error| vec![error.to_string()])?;
        let fields = Self { cron, follows_the_clock };
        match fields.comes() {
            true => Ok((text, fields)),
            false => Err(vec![NEVER.to_owned()]),
        }
    }

    /// Whether the hours are `*` or have a step. Then the times are all those that the clock shows,
    /// when it is set too; otherwise each of them is meant once a day.
    pub(crate) fn follows_the_clock(&self) -> bool {
        self.follows_the_clock
    }

    /// The first of these times after `time`, if the year 5000 does not come before.
    pub(crate) fn next(&self, time: NaiveDateTime) -> Option<NaiveDateTime> {
        self.cron.find_next_occurrence(&time, false).ok()
    }

    /// Whether there is such a time. The calendar repeats after 400 years, and these are the last
    /// ones in which croner looks.
    fn comes(&self) -> bool {
        let before = NaiveDate::from_ymd_opt(YEAR_UPPER_LIMIT - 401, 12, 31);
        before.and_then(|day| self.next(day.and_hms_opt(23, 59, 59)?)).is_some()
    }
}

const NEVER: &str = "it names a day that never comes: correct the day of the month, the month or \
                     the weekday";

fn parser(both: bool) -> CronParser {
    let parser = CronParser::builder().seconds(Seconds::Disallowed).year(Year::Disallowed);
    parser.dom_and_dow(both).build()
}

fn another_number(fields: &[&str]) -> String {
    let (number, seconds) = match fields.len() {
        1 => ("1 field".to_owned(), ""),
        number @ 6..=7 => (format!("{number} fields"), "; seconds and years are not supported"),
        number => (format!("{number} fields"), ""),
    };
    format!(
        "it has {number}: write five, for minute, hour, day of the month, month and weekday, as in \
         `0 9 * * MON-FRI`{seconds}"
    )
}

/// What a field may hold.
struct Field {
    name: &'static str,
    least: u16,
    most: u16,
    /// The names of its values, from the least.
    names: &'static [&'static str],
    /// Its values, in words.
    values: &'static str,
}

const FIELDS: [Field; 5] = [
    Field { name: "minute", least: 0, most: 59, names: &[], values: "0 to 59" },
    Field { name: "hour", least: 0, most: 23, names: &[], values: "0 to 23" },
    Field { name: DAY, least: 1, most: 31, names: &[], values: "1 to 31, or `L` for the last day" },
    Field {
        name: "month",
        least: 1,
        most: 12,
        names: &MONTHS,
        values: "1 to 12, or `JAN` to `DEC`",
    },
    Field {
        name: WEEKDAY,
        least: 0,
        most: 7,
        names: &WEEKDAYS,
        values: "0 to 7, where 0 and 7 are Sunday, or `SUN` to `SAT`",
    },
];

const DAY: &str = "day of the month";
const WEEKDAY: &str = "weekday";

impl Field {
    fn problems(&self, text: &str) -> impl Iterator<Item = String> {
        text.split(',').filter_map(|item| self.check(item).err())
    }

    fn check(&self, item: &str) -> Result<(), String> {
        let (range, step) = match item.split_once('/') {
            Some((range, step)) => (range, Some(step)),
            None => (item, None),
        };
        if let Some(step) = step
            && !self.is_step(step)
        {
            let (name, most) = (self.name, self.most);
            return Err(format!("the step of the {name} `{item}` is not valid: write 1 to {most}"));
        }
        match (range.split_once('-'), step) {
            (Some((first, last)), _) => self.check_range(range, first, last),
            (None, _) if range == "*" => Ok(()),
            (None, Some(step)) if self.value(range).is_some() => {
                let (name, most) = (self.name, self.most);
                Err(format!(
                    "the {name} `{item}` has a step and no range: write `{range}-{most}/{step}`"
                ))
            }
            (None, Some(_)) => Err(self.invalid(range)),
            (None, None) => self.check_single(range),
        }
    }

    fn is_step(&self, step: &str) -> bool {
        is_number(step) && step.parse::<u16>().is_ok_and(|step| (1..=self.most).contains(&step))
    }

    fn check_range(&self, range: &str, first: &str, last: &str) -> Result<(), String> {
        if self.name == DAY && first == "L" {
            return Err(format!("`{range}` is not supported: `L`, the last day, stands alone"));
        }
        let from = self.value(first).ok_or_else(|| self.invalid(first))?;
        let to = match self.value(last).ok_or_else(|| self.invalid(last))? {
            // At the end of a range, `SUN` is the Sunday after the Saturday.
            0 if self.name == WEEKDAY && last == "SUN" => 7,
            to => to,
        };
        if from <= to {
            return Ok(());
        }
        let (name, least, most) = (self.name, self.least, self.most);
        Err(format!(
            "the {name} `{range}` ends before it begins: write `{first}-{most},{least}-{last}`"
        ))
    }

    fn check_single(&self, item: &str) -> Result<(), String> {
        let of = |weekday: &str| self.name == WEEKDAY && self.value(weekday).is_some();
        let last = item.strip_suffix('L').filter(|_| matches!(self.name, DAY | WEEKDAY));
        let is_valid = match (item.split_once('#'), last) {
            (Some((weekday, number)), _) => {
                of(weekday) && matches!(number, "1" | "2" | "3" | "4" | "5")
            }
            (None, Some("")) => self.name == DAY,
            (None, Some(weekday)) => of(weekday),
            (None, None) => self.value(item).is_some(),
        };
        if is_valid { Ok(()) } else { Err(self.invalid(item)) }
    }

    /// The number that `text` is or stands for.
    fn value(&self, text: &str) -> Option<u16> {
        if is_number(text) {
            let value = text.parse::<u16>().ok()?;
            return (self.least..=self.most).contains(&value).then_some(value);
        }
        let position = self.names.iter().position(|name| short(name).eq_ignore_ascii_case(text))?;
        Some(self.least + u16::try_from(position).ok()?)
    }

    fn invalid(&self, item: &str) -> String {
        let name = self.name;
        match item {
            "" => return format!("a {name} is missing: write {}, or `*` for all", self.values),
            "?" => return format!("the {name} `?` is not supported: write `*`"),
            "L" if name == WEEKDAY => {
                return format!("the {name} `L` is of no weekday: write which, as in `FRIL`");
            }
            _ => {}
        }
        if let Some((_, number)) = item.split_once('#')
            && name == WEEKDAY
        {
            return format!(
                "the {name} `{item}` is not valid: write a weekday, `#` and 1 to 5, as in \
                 `MON#2`, not `{number}`"
            );
        }
        if name == DAY && item.ends_with('W') {
            return format!(
                "the {name} `{item}`, the nearest workday, is not supported: name days, or write \
                 weekdays, as in `MON-FRI`"
            );
        }
        match self.meant(&item.to_ascii_lowercase()) {
            Some(meant) => format!("`{item}` is not a valid {name}: did you mean `{meant}`?"),
            None => format!("`{item}` is not a valid {name}: write {}", self.values),
        }
    }

    /// The short name that a longer or misspelt one stands for.
    fn meant(&self, word: &str) -> Option<String> {
        let full = position(self.names, word).map(|position| self.names[position]);
        let name = full.or_else(|| {
            let names = self.names.iter().copied();
            nearest(word, names).filter(|_| word.len() > 3)
        })?;
        Some(short(name).to_ascii_uppercase())
    }
}
