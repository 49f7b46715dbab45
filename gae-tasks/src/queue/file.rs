//! App Engine's `queue.yaml`.

mod entry;
mod retries;
mod values;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::str::FromStr;

use crate::error::Error;
use crate::queue::{QueueName, Queues};
use crate::yaml::{self, Fields, Keys, Mistakes, Node, Place, shown};

/// The name of such files.
const FILE: &str = "queue.yaml";

const KEYS: Keys = Keys {
    of: "a `queue.yaml`",
    known: &["application", "total_storage_limit", "resume_paused_queues", "queue"],
    foreign: &[
        ("cron", "this is a `cron.yaml`"),
        ("name", "a queue is an entry of the list `queue`: `- name: ..`"),
        ("rate", "a queue is an entry of the list `queue`: `- name: ..`"),
    ],
};

#[cfg_attr(docsrs, doc(cfg(feature = "yaml")))]
impl Queues {
    /// Reads the text of App Engine's `queue.yaml`: the file's fields and meaning are those of the
    /// [App Engine
    /// reference](https://cloud.google.com/appengine/docs/legacy/standard/python/config/queueref),
    /// its defaults too. The guide [queues](crate::guide::queues#queueyaml) has a table.
    ///
    /// # Errors
    /// [`Error::ConfigFile`] lists every mistake of the file, each with its line and column.
    ///
    /// ```
    /// use gae_tasks::{Error, Queues};
    ///
    /// let queues = Queues::parse("
    /// queue:
    /// - name: emails
    ///   rate: 20/s
    ///   retry_parameters:
    ///     task_retry_limit: 7
    /// ")?;
    /// let (name, config) = queues.iter().next().unwrap();
    /// assert_eq!((name, config.max_dispatches_per_second()), ("emails", Some(20.0)));
    /// assert_eq!(config.retry().max_attempts(), Some(8)); // the first and 7 retries
    ///
    /// let mistaken = Queues::parse("queue:\n- name: emails\n  rate: 20/sec\n").unwrap_err();
    /// assert!(mistaken.to_string().contains("line 3, column 9: `rate: 20/sec` is not a rate"));
    /// # Ok::<(), Error>(())
    /// ```
    pub fn parse(text: &str) -> Result<Self, Error> {
        yaml::parse(FILE, text, |node, mistakes| {
            if node.is_none() {
                mistakes.add(Place::START, "the file is empty: begin with `queue:`");
            }
            all(node?, mistakes)
        })
    }
}

/// Reads a `queue.yaml`, as [`Queues::parse`] does.
#[cfg_attr(docsrs, doc(cfg(feature = "yaml")))]
impl FromStr for Queues {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        Self::parse(text)
    }
}

fn all(node: &Node, mistakes: &mut Mistakes) -> Option<Queues> {
    let fields = Fields::of(node, &KEYS, mistakes)?;
    let mut queues = Queues::new();
    let resumes = resumes(&fields, &mut queues, mistakes);
    unsupported(&fields, &mut queues, mistakes);
    let mut places = BTreeMap::new();
    for node in listed(&fields, mistakes) {
        if let Some((name, place)) = entry::read(node, resumes, &mut queues, mistakes)
            && let Some(before) = places.insert(name.clone(), place)
        {
            let line = before.line;
            let problem = format!("the queue `{name}` stands in line {line} too: remove one");
            mistakes.add(place, problem);
        }
    }
    if !places.contains_key(&QueueName::DEFAULT) {
        queues.wanted.push(entry::undeclared(resumes));
    }
    Some(queues)
}

/// The entries of the list of queues.
fn listed<'n>(fields: &Fields<'n>, mistakes: &mut Mistakes) -> &'n [Node] {
    if fields.lacks("queue") {
        mistakes.add(fields.place(), "the file has no `queue`: add it, with a list of queues");
    }
    fields.list("queue", mistakes, "`queue` is a list: begin each queue with `- name: ..`")
}

/// Whether queues that are paused go on, which App Engine takes for granted.
fn resumes(fields: &Fields<'_>, queues: &mut Queues, mistakes: &mut Mistakes) -> bool {
    const KEY: &str = "resume_paused_queues";
    if fields.node(KEY).is_none() {
        queues.taken.push((KEY, "true".to_owned()));
    }
    fields.value(KEY, mistakes, values::truth).unwrap_or(true)
}

/// Notes what a file states for all queues that has no effect here.
fn unsupported(fields: &Fields<'_>, queues: &mut Queues, mistakes: &mut Mistakes) {
    let text = |text: &str| Ok(text.to_owned());
    let application = fields.value("application", mistakes, text);
    let storage = fields.value("total_storage_limit", mistakes, values::storage);
    let stated = [
        ("application", application, "the client's URL names the application's queues"),
        ("total_storage_limit", storage, "the storage has the limits of its disk"),
    ];
    for (key, value, instead) in stated {
        if let (Some(value), Some(node)) = (value, fields.node(key)) {
            let (line, value) = (node.place.line, shown(&value));
            let note = format!("line {line}: `{key}: {value}` has no effect: {instead}");
            queues.unsupported.push(note);
        }
    }
}
