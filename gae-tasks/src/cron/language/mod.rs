//! The language of schedules: five cron fields, a nickname, or App Engine's words, and the names of
//! time zones.
//!
//! The attribute checks literals by these files too: `gae-tasks-macros/src/cron_language` is a
//! symbolic link to this folder, so they name nothing of either crate.

mod every;
mod fields;
mod words;
mod zone;

use self::every::Every;
pub(crate) use self::every::Window;
pub(crate) use self::fields::Fields;
pub(crate) use self::words::nearest;
pub(crate) use self::zone::zone;

/// A schedule without a time zone.
#[derive(Debug, Clone)]
pub(crate) struct Expression {
    /// The schedule in its canonical form, which is read as the same schedule.
    pub(crate) text: String,
    pub(crate) rule: Rule,
}

/// When a schedule ticks.
#[derive(Debug, Clone)]
pub(crate) enum Rule {
    /// At the times that the fields name.
    Fields(Box<Fields>),
    /// These minutes after the tick before.
    Interval(u32),
    /// At intervals, in a part of each day.
    Window(Window),
}

/// The longest text that is read, in bytes.
const LONGEST: usize = 500;

/// Shorter words for five fields.
const NICKNAMES: [(&str, &str); 7] = [
    ("@yearly", "0 0 1 1 *"),
    ("@annually", "0 0 1 1 *"),
    ("@monthly", "0 0 1 * *"),
    ("@weekly", "0 0 * * 0"),
    ("@daily", "0 0 * * *"),
    ("@midnight", "0 0 * * *"),
    ("@hourly", "0 * * * *"),
];

/// Reads a schedule.
///
/// # Errors
/// Everything that is wrong with it, each in words that can follow "the schedule is not valid".
pub(crate) fn read(text: &str) -> Result<Expression, Vec<String>> {
    let text = text.trim();
    if text.len() > LONGEST {
        return Err(vec![format!(
            "it has {} bytes, and {LONGEST} are read: make several schedules of it",
            text.len()
        )]);
    }
    if text.is_empty() {
        return Err(vec![
            "it is empty: write five fields, as in `0 9 * * MON-FRI`, or words, as in `every 5 \
             minutes`"
                .to_owned(),
        ]);
    }
    if text.starts_with('@') {
        let fields = of_nickname(text).map_err(|problem| vec![problem])?;
        return of_fields(fields);
    }
    if text.starts_with("TZ=") || text.starts_with("CRON_TZ=") || text.ends_with(')') {
        return Err(vec![
            "the time zone is not part of the fields: name it beside them".to_owned(),
        ]);
    }
    if !every::is_meant(text) {
        return of_fields(text);
    }
    let (text, every) = every::read(text).map_err(|problem| vec![problem])?;
    let rule = match every {
        Every::Days(fields) => Rule::Fields(fields),
        Every::Interval(minutes) => Rule::Interval(minutes),
        Every::Window(window) => Rule::Window(window),
    };
    Ok(Expression { text, rule })
}

fn of_fields(text: &str) -> Result<Expression, Vec<String>> {
    let (text, fields) = Fields::read(text)?;
    Ok(Expression { text, rule: Rule::Fields(Box::new(fields)) })
}

/// The fields that a nickname stands for.
fn of_nickname(text: &str) -> Result<&'static str, String> {
    let word = text.to_ascii_lowercase();
    let known = NICKNAMES.iter().find(|(nickname, _)| *nickname == word);
    let unknown = || match word.split_whitespace().next().unwrap_or_default() {
        "@reboot" => "`@reboot` is not a time: defer the task where the program starts".to_owned(),
        "@every" => format!("`{text}` is not supported: write words, as in `every 5 minutes`"),
        other => match nearest(other, NICKNAMES.map(|(nickname, _)| nickname)) {
            Some(meant) if meant != other => {
                format!("`{text}` is not a schedule: did you mean `{meant}`?")
            }
            _ => format!(
                "`{text}` is not a schedule: write `@hourly`, `@daily`, `@weekly`, `@monthly` or \
                 `@yearly`"
            ),
        },
    };
    known.map(|(_, fields)| *fields).ok_or_else(unknown)
}
