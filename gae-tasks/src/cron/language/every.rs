//! App Engine's language of schedules, as in `every 5 minutes` and `1st monday of sep 17:00`.

use std::collections::BTreeSet;

use chrono::{NaiveTime, Timelike as _};

use super::fields::Fields;
use super::words::{MONTHS, WEEKDAYS, is_number, nearest, position, short};

/// What a schedule in this language says.
#[derive(Debug, Clone)]
pub(super) enum Every {
    /// Times on days.
    Days(Box<Fields>),
    /// Minutes from one tick to the next.
    Interval(u32),
    /// Minutes from one tick to the next, in a part of each day.
    Window(Window),
}

/// A part of each day, from whose beginning intervals are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Window {
    /// The length of an interval.
    pub(crate) minutes: u32,
    pub(crate) from: NaiveTime,
    /// The last moment of the part, on the next day if it is before `from`; `None` if the part ends
    /// where the next one begins.
    pub(crate) to: Option<NaiveTime>,
}

/// Minutes of a day.
const DAY: u32 = 24 * 60;

/// The ordinals of weekdays in a month, short and in full.
const ORDINALS: [(&str, &str); 5] =
    [("1st", "first"), ("2nd", "second"), ("3rd", "third"), ("4th", "fourth"), ("5th", "fifth")];

/// Whether `text` is in this language rather than five fields: it begins with a word or an ordinal,
/// or has an `of`.
pub(super) fn is_meant(text: &str) -> bool {
    let mut words = text.split_whitespace();
    let first = words.next().unwrap_or_default();
    let is_word = first.starts_with(|letter: char| letter.is_ascii_alphanumeric())
        && first.contains(|letter: char| letter.is_ascii_alphabetic());
    is_word || words.any(|word| word.eq_ignore_ascii_case("of"))
}

/// Reads a schedule, and returns it with its canonical text.
///
/// # Errors
/// The first word that does not fit, and what would.
pub(super) fn read(text: &str) -> Result<(String, Every), String> {
    let text = text.to_ascii_lowercase();
    let mut words = Words::of(&text);
    let (canonical, every) = match words.peek() {
        Some("every") => {
            words.skip();
            match words.peek().is_some_and(is_number) {
                true => interval(&mut words),
                false => weekdays(&mut words, &BTreeSet::new()),
            }
        }
        Some(word) if is_number(word) => days_of_the_month(&mut words),
        Some(word) if ordinal(word).is_ok() => {
            let ordinals = words.list(ordinal)?;
            weekdays(&mut words, &ordinals)
        }
        other => Err(begins(other.unwrap_or_default())),
    }?;
    match words.peek() {
        None => Ok((canonical, every)),
        Some(word) => Err(format!("nothing can follow `{canonical}`: remove `{word}`")),
    }
}

fn begins(word: &str) -> String {
    match nearest(word, ["every", "first", "second", "third", "fourth", "fifth"]) {
        Some(meant) => format!("no schedule begins with `{word}`: did you mean `{meant}`?"),
        None => format!(
            "no schedule begins with `{word}`: write five fields, as in `0 9 * * MON-FRI`, or \
             words, as in `every 5 minutes` and `every monday 09:00`"
        ),
    }
}

/// Reads what follows `every`, from a number on.
fn interval(words: &mut Words<'_>) -> Result<(String, Every), String> {
    let (number, unit) = (words.skip(), words.skip());
    let (unit, of_unit) = unit_of(number, unit)?;
    let number = match number.parse::<u32>() {
        Ok(0) => return Err("an interval of 0 has no end: write 1 or more".to_owned()),
        Ok(number @ 1..=99_999) => number,
        _ => return Err(format!("the interval {number} is too long: write at most 99999")),
    };
    let (minutes, text) = (number * of_unit, format!("every {number} {unit}"));
    match words.peek() {
        Some("from") => {
            words.skip();
            window(words, minutes, &text)
        }
        Some("synchronized") => {
            words.skip();
            synchronized(words, minutes, &text)
        }
        _ => Ok((text, Every::Interval(minutes))),
    }
}

/// Returns the canonical name of a unit, and its minutes.
fn unit_of(number: &str, unit: &str) -> Result<(&'static str, u32), String> {
    match unit {
        "minutes" | "mins" | "minute" | "min" => Ok(("minutes", 1)),
        "hours" | "hour" => Ok(("hours", 60)),
        "" => Err(format!("`every {number}` has no unit: write `minutes` or `hours`")),
        "days" | "day" => Err(format!(
            "`{unit}` is not a unit of an interval: write hours, as in `every 24 hours`, or a \
             time, as in `every day 00:00`"
        )),
        _ => Err(format!("`{unit}` is not a unit of an interval: write `minutes` or `hours`")),
    }
}

fn window(words: &mut Words<'_>, minutes: u32, text: &str) -> Result<(String, Every), String> {
    let from = time(words.skip(), "after `from`")?;
    let to = match words.skip() {
        "to" => time(words.skip(), "after `to`")?,
        _ => {
            let from = clock(from);
            return Err(format!("`from {from}` has no end: write `from {from} to 14:00`"));
        }
    };
    if words.peek() == Some("synchronized") {
        return Err(EXCLUDED.to_owned());
    }
    let text = format!("{text} from {} to {}", clock(from), clock(to));
    Ok((text, Every::Window(Window { minutes, from, to: Some(to) })))
}

fn synchronized(
    words: &mut Words<'_>,
    minutes: u32,
    text: &str,
) -> Result<(String, Every), String> {
    if words.peek() == Some("from") {
        return Err(EXCLUDED.to_owned());
    }
    if !DAY.is_multiple_of(minutes) {
        return Err(format!(
            "`{text} synchronized` does not divide a day into equal parts: write 1, 2, 3, 4, 6, 8, \
             12 or 24 hours, or a number of minutes that divides 1440"
        ));
    }
    let window = Window { minutes, from: NaiveTime::MIN, to: None };
    Ok((format!("{text} synchronized"), Every::Window(window)))
}

const EXCLUDED: &str = "`synchronized` and `from .. to ..` exclude each other: keep one; intervals \
                        from a time on are counted from that time";

/// Reads days of the month, as in `1,15 of jan,jul 00:00`.
fn days_of_the_month(words: &mut Words<'_>) -> Result<(String, Every), String> {
    let days = words.list(|word| match word.parse::<u32>() {
        Ok(day @ 1..=31) => Ok(day),
        _ => Err(format!("`{word}` is not a day of a month: write 1 to 31")),
    })?;
    if words.peek() != Some("of") {
        return Err("days of a month lack the month: write it, as in `1,15 of month 00:00`".into());
    }
    let months = months(words)?;
    let at = time(words.skip(), LAST)?;
    let of = months.as_ref().map_or_else(|| "month".to_owned(), names_of_months);
    let text = format!("{} of {of} {}", joined(&days), clock(at));
    days_at(text, &joined(&days), months.as_ref(), "*", at)
}

/// Reads weekdays, of which all in a month are meant or those with these ordinals.
fn weekdays(words: &mut Words<'_>, ordinals: &BTreeSet<u32>) -> Result<(String, Every), String> {
    let weekdays = match words.peek() {
        Some("day") => {
            words.skip();
            None
        }
        _ => Some(words.list(weekday)?),
    };
    let months = match words.peek() {
        Some("of") => months(words)?,
        _ => None,
    };
    let at = time(words.skip(), LAST)?;
    let every = list(ordinals, |ordinal| ORDINALS[ordinal as usize - 1].0.to_owned());
    let every = if every.is_empty() { "every".to_owned() } else { every };
    let days = weekdays.as_ref().map_or_else(|| "day".to_owned(), |days| list(days, name_of_day));
    let of = months.as_ref().map(|months| format!(" of {}", names_of_months(months)));
    let text = format!("{every} {days}{} {}", of.unwrap_or_default(), clock(at));
    match weekdays {
        // `1st day` is the first day of the month.
        None if !ordinals.is_empty() => days_at(text, &joined(ordinals), months.as_ref(), "*", at),
        None => days_at(text, "*", months.as_ref(), "*", at),
        Some(days) => days_at(text, "*", months.as_ref(), &in_the_month(&days, ordinals), at),
    }
}

/// The weekday field for these weekdays, of which all in a month are meant or those with these
/// ordinals.
fn in_the_month(weekdays: &BTreeSet<u32>, ordinals: &BTreeSet<u32>) -> String {
    if ordinals.is_empty() {
        return joined(weekdays);
    }
    list(weekdays, |day| list(ordinals, |ordinal| format!("{day}#{ordinal}")))
}

fn days_at(
    text: String,
    days: &str,
    months: Option<&BTreeSet<u32>>,
    weekdays: &str,
    at: NaiveTime,
) -> Result<(String, Every), String> {
    let months = months.map_or_else(|| "*".to_owned(), joined);
    let fields = format!("{} {} {days} {months} {weekdays}", at.minute(), at.hour());
    let (_, fields) = Fields::read(&fields).map_err(|problems| problems.join("; "))?;
    Ok((text, Every::Days(Box::new(fields))))
}

/// Reads `of` and what follows; `None` if all months are meant.
fn months(words: &mut Words<'_>) -> Result<Option<BTreeSet<u32>>, String> {
    words.skip();
    let of_quarter = |months: &[u32]| {
        let all = months.iter().flat_map(|&month| (0..4).map(move |quarter| quarter * 3 + month));
        Ok(Some(all.collect()))
    };
    match words.peek().unwrap_or_default() {
        "month" => {
            words.skip();
            Ok(None)
        }
        "quarter" => {
            words.skip();
            of_quarter(&[1])
        }
        word if ordinal(word).is_ok() => {
            let months: Vec<_> = words.list(month_of_a_quarter)?.into_iter().collect();
            match (words.skip(), words.skip(), words.skip()) {
                ("month", "of", "quarter") => of_quarter(&months),
                _ => Err(format!("`of {word}` lacks `month of quarter`: write it")),
            }
        }
        _ => words.list(month).map(Some),
    }
}

fn month(word: &str) -> Result<u32, String> {
    number_of(&MONTHS, word, "month").map(|position| position + 1)
}

fn month_of_a_quarter(word: &str) -> Result<u32, String> {
    ordinal(word)
        .ok()
        .filter(|number| *number <= 3)
        .ok_or_else(|| format!("`{word}` is not a month of a quarter: write `1st`, `2nd` or `3rd`"))
}

fn weekday(word: &str) -> Result<u32, String> {
    if word == "month" {
        let fix = "write `1 of month 00:00`";
        return Err(format!("`month` is not a weekday: for each first day of a month {fix}"));
    }
    number_of(&WEEKDAYS, word, "weekday")
}

fn ordinal(word: &str) -> Result<u32, String> {
    let is_ordinal = |(short, full): &(&str, &str)| *short == word || *full == word;
    let position = ORDINALS.iter().position(is_ordinal);
    let number = position.and_then(|position| u32::try_from(position + 1).ok());
    number.ok_or_else(|| format!("`{word}` is not an ordinal: write `1st` to `5th`"))
}

/// The position of `word` among names of `what`.
fn number_of(names: &[&str], word: &str, what: &str) -> Result<u32, String> {
    if let Some(number) = position(names, word).and_then(|number| u32::try_from(number).ok()) {
        return Ok(number);
    }
    let longer = names.iter().copied().find(|name| word.len() > 3 && name.starts_with(word));
    Err(match longer.or_else(|| nearest(word, names.iter().copied())) {
        Some(meant) => format!("`{word}` is not a {what}: did you mean `{meant}`?"),
        None if word.is_empty() || word == "," => {
            format!("a {what} is missing: write one, as in `{}`", names[1])
        }
        None => format!("`{word}` is not a {what}: write its name, as in `{}`", names[1]),
    })
}

const LAST: &str = "at the end";

/// Reads a time of day, which is expected at this `place`.
fn time(word: &str, place: &str) -> Result<NaiveTime, String> {
    if word.is_empty() {
        return Err(format!("a time is missing {place}: write it, as in `09:00`"));
    }
    let digits = |text: &str| is_number(text).then(|| text.parse::<u32>().ok()).flatten();
    let read = word.split_once(':').and_then(|(hour, minute)| {
        let has_form = hour.len() <= 2 && minute.len() == 2;
        has_form.then(|| NaiveTime::from_hms_opt(digits(hour)?, digits(minute)?, 0)).flatten()
    });
    read.ok_or_else(|| format!("`{word}` is not a time of day: write `00:00` to `23:59`"))
}

fn clock(time: NaiveTime) -> String {
    format!("{:02}:{:02}", time.hour(), time.minute())
}

fn name_of_day(day: u32) -> String {
    short(WEEKDAYS[day as usize]).to_owned()
}

fn names_of_months(months: &BTreeSet<u32>) -> String {
    list(months, |month| short(MONTHS[month as usize - 1]).to_owned())
}

fn joined(numbers: &BTreeSet<u32>) -> String {
    list(numbers, |number| number.to_string())
}

fn list(numbers: &BTreeSet<u32>, text: impl Fn(u32) -> String) -> String {
    numbers.iter().map(|number| text(*number)).collect::<Vec<_>>().join(",")
}

/// The words and commas of a schedule that have not been read.
struct Words<'a>(std::vec::IntoIter<&'a str>);

impl<'a> Words<'a> {
    fn of(text: &'a str) -> Self {
        let parts = text.split_whitespace().flat_map(|word| word.split_inclusive(','));
        let words = parts.flat_map(|part| match part.strip_suffix(',') {
            Some(word) => [word, ","],
            None => [part, ""],
        });
        let words: Vec<_> = words.filter(|word| !word.is_empty()).collect();
        Self(words.into_iter())
    }

    fn peek(&self) -> Option<&'a str> {
        self.0.as_slice().first().copied()
    }

    /// Takes the next word; at the end there is an empty one.
    fn skip(&mut self) -> &'a str {
        self.0.next().unwrap_or_default()
    }

    /// Reads words with commas between them.
    fn list(
        &mut self,
        read: impl Fn(&str) -> Result<u32, String>,
    ) -> Result<BTreeSet<u32>, String> {
        let mut all = BTreeSet::from([read(self.skip())?]);
        while self.peek() == Some(",") {
            self.skip();
            all.insert(read(self.skip())?);
        }
        Ok(all)
    }
}
