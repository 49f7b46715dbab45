//! Reads the entries of a file.

use super::entry::CronEntry;
use super::retry;
use crate::cron::Cron;
use crate::error::Error;
use crate::task::Kind;
use crate::yaml::{self, Fields, Keys, Mistakes, Node, Place, shown};

/// The name of such files.
const FILE: &str = "cron.yaml";

/// The keys of a file.
const LIST: Keys = Keys {
    of: "a `cron.yaml`",
    known: &["cron"],
    foreign: &[
        ("jobs", "write `cron`"),
        ("queue", "this is a `queue.yaml`"),
        ("url", "it belongs to an entry of the list `cron`: `- url: ..`"),
        ("schedule", "it belongs to an entry of the list `cron`: `- url: ..`"),
    ],
};

/// The keys of an entry.
const KEYS: Keys = Keys {
    of: "an entry",
    known: &["description", "url", "schedule", "timezone", "target", "retry_parameters", "task"],
    foreign: &[
        ("cron", "write `schedule`"),
        ("when", "write `schedule`"),
        ("tz", "write `timezone`"),
        ("path", "write `url`"),
        ("service", "write `target`"),
        ("kind", "write `task`"),
        ("job_retry_limit", "it belongs under `retry_parameters`"),
        ("job_age_limit", "it belongs under `retry_parameters`"),
        ("min_backoff_seconds", "it belongs under `retry_parameters`"),
        ("max_backoff_seconds", "it belongs under `retry_parameters`"),
        ("max_doublings", "it belongs under `retry_parameters`"),
    ],
};

const NO_LIST: &str = "the file has no list of schedules: begin it with `cron:`";

/// Reads a file in which the tasks of `url`s are below `prefix`.
///
/// # Errors
/// [`Error::ConfigFile`] with all mistakes of the file.
pub(super) fn read(text: &str, prefix: &str) -> Result<Vec<CronEntry>, Error> {
    let prefix = prefix.trim_end_matches('/');
    yaml::parse(FILE, text, |node, mistakes| {
        if node.is_none() {
            mistakes.add(Place::START, NO_LIST);
        }
        let fields = Fields::of(node?, &LIST, mistakes)?;
        let nodes = listed(&fields, mistakes);
        // Those with mistakes are left out, and no mistake is.
        Some(nodes.iter().filter_map(|node| entry(node, prefix, mistakes)).collect())
    })
}

/// The entries of the list.
fn listed<'n>(fields: &Fields<'n>, mistakes: &mut Mistakes) -> &'n [Node] {
    if fields.lacks("cron") {
        mistakes.add(fields.place(), NO_LIST);
    }
    // On App Engine too, `cron:` alone means that there are no schedules.
    fields.list("cron", mistakes, "`cron` is not a list: begin each entry with `- `")
}

fn entry(node: &Node, prefix: &str, mistakes: &mut Mistakes) -> Option<CronEntry> {
    let fields = Fields::of(node, &KEYS, mistakes)?;
    // All is read before anything is missed, so that all mistakes are found.
    let kind = kind(&fields, prefix, mistakes);
    let cron = cron(&fields, mistakes);
    let description = fields.value("description", mistakes, written);
    let target = fields.value("target", mistakes, written);
    let retry = retry::read(&fields, mistakes);
    let line = fields.place().line;
    Some(CronEntry { kind: kind?, cron: cron?, description, target, retry, line })
}

/// Reads a text that has a character.
fn written(text: &str) -> Result<String, String> {
    if text.trim().is_empty() {
        return Err("is empty: write a text, or remove the key".to_owned());
    }
    Ok(text.to_owned())
}

/// The kind that an entry names.
fn kind(fields: &Fields<'_>, prefix: &str, mistakes: &mut Mistakes) -> Option<Kind> {
    if fields.lacks("url") && fields.lacks("task") {
        mistakes.add(fields.place(), "the entry has no `url`: add it, or `task`");
    }
    let (kind, place) = match fields.node("task") {
        Some(_) => fields.text("task", mistakes)?,
        None => of_url(fields, prefix, mistakes)?,
    };
    let refused = || Error::Kind { value: shown(kind) }.to_string();
    Kind::new(kind).map_err(|_| mistakes.add(place, refused())).ok()
}

/// The kind in a `url`, which is what follows the prefix, and the place of the `url`.
fn of_url<'n>(
    fields: &Fields<'n>,
    prefix: &str,
    mistakes: &mut Mistakes,
) -> Option<(&'n str, Place)> {
    let (url, place) = fields.text("url", mistakes)?;
    let kind = url.strip_prefix(prefix).and_then(|rest| rest.strip_prefix('/'));
    let kind = kind.filter(|kind| !kind.is_empty());
    if kind.is_none() {
        let mistake = format!(
            "the url `{}` names no task: write `{prefix}/MODULE.PATH/FUNCTION`, or the task's kind \
             beside it as `task: MODULE.PATH/FUNCTION`",
            shown(url)
        );
        mistakes.add(place, mistake);
    }
    Some((kind?, place))
}

/// The schedule of an entry in its time zone.
fn cron(fields: &Fields<'_>, mistakes: &mut Mistakes) -> Option<Cron> {
    if fields.lacks("schedule") {
        mistakes.add(fields.place(), "the entry has no `schedule`: add it");
    }
    let cron = schedule(fields, mistakes);
    let Some((zone, place)) = fields.text("timezone", mistakes) else { return cron };
    // A zone is checked even if the schedule is not valid.
    let any = || Cron::parse("@daily");
    match cron.clone().map_or_else(any, Ok).and_then(|cron| cron.in_zone(zone)) {
        Ok(in_zone) => cron.map(|_| in_zone),
        Err(error) => {
            mistakes.add(place, error.problems().join("; "));
            None
        }
    }
}

fn schedule(fields: &Fields<'_>, mistakes: &mut Mistakes) -> Option<Cron> {
    let (text, place) = fields.text("schedule", mistakes)?;
    match Cron::parse(text) {
        Ok(cron) => Some(cron),
        Err(error) => {
            for problem in error.problems() {
                mistakes.add(place, problem.as_str());
            }
            None
        }
    }
}
