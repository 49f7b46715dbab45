//! Reads a file, and collects all mistakes in it.

use saphyr::{LoadableYamlNode as _, MarkedYaml};

use super::entry::CronEntry;
use super::mistakes::{CronFileError, Mistakes, Place};
use super::node::{Field, Keys, place, place_of};
use super::retry;
use crate::cron::Cron;
use crate::queue::RetryConfig;
use crate::task::Kind;

/// Reads one file.
pub(super) struct Reader<'p> {
    /// Below what the tasks of `url`s are, without a slash at the end.
    prefix: &'p str,
    mistakes: Mistakes,
}

/// The keys of a file.
const LIST: Keys = Keys { known: &["cron"], synonyms: &[("jobs", "cron")] };

/// The keys of an entry.
const KEYS: Keys = Keys {
    known: &["description", "url", "schedule", "timezone", "target", "retry_parameters", "task"],
    synonyms: &[
        ("cron", "schedule"),
        ("when", "schedule"),
        ("tz", "timezone"),
        ("time_zone", "timezone"),
        ("path", "url"),
        ("service", "target"),
        ("kind", "task"),
        ("retry", "retry_parameters"),
    ],
};

/// What was read of an entry.
#[derive(Default)]
struct Fields<'a> {
    url: Option<Field<'a>>,
    task: Option<Field<'a>>,
    schedule: Option<Field<'a>>,
    timezone: Option<Field<'a>>,
    description: Option<String>,
    target: Option<String>,
    retry: Option<RetryConfig>,
    /// The keys that misspelt ones stand for.
    meant: Vec<&'static str>,
}

impl<'p> Reader<'p> {
    pub(super) fn new(prefix: &'p str) -> Self {
        Self { prefix: prefix.trim_end_matches('/'), mistakes: Mistakes::default() }
    }

    /// Returns the mistakes as an error, if there are any.
    pub(super) fn finish(self) -> Result<(), CronFileError> {
        self.mistakes.finish()
    }

    /// Reads the entries of a file. Those with mistakes are left out.
    pub(super) fn file(&mut self, text: &str) -> Vec<CronEntry> {
        let documents = match MarkedYaml::load_from_str(text) {
            Ok(documents) => documents,
            Err(error) => {
                let problem = format!("the file cannot be read as YAML: {}", error.info());
                self.mistakes.add(place_of(error.marker()), problem);
                return Vec::new();
            }
        };
        if let [_, second, ..] = &*documents {
            self.mistakes.add(place(second), "a `cron.yaml` is one document: remove the others");
        }
        match documents.first() {
            Some(document) => self.document(document),
            None => {
                self.mistakes.add((1, 1), NO_LIST);
                Vec::new()
            }
        }
    }

    fn document(&mut self, document: &MarkedYaml<'static>) -> Vec<CronEntry> {
        let Some(fields) = Field::of(document) else {
            self.mistakes.add(place(document), NO_LIST);
            return Vec::new();
        };
        let (mut entries, mut has_list) = (Vec::new(), false);
        for field in fields {
            match field {
                Ok(field) if field.key == "cron" => {
                    has_list = true;
                    entries = self.list(&field);
                }
                Ok(field) => {
                    // A misspelt list is one mistake.
                    has_list = true;
                    self.mistakes.add(field.key_place, LIST.unknown(field.key));
                }
                Err(place) => self.mistakes.add(place, NO_KEY),
            }
        }
        if !has_list {
            self.mistakes.add(place(document), NO_LIST);
        }
        entries
    }

    fn list(&mut self, field: &Field<'_>) -> Vec<CronEntry> {
        // On App Engine too, `cron:` alone means that there are no schedules.
        if field.is_empty() {
            return Vec::new();
        }
        let Some(list) = field.value.data.as_sequence() else {
            self.mistakes.add(field.place(), "`cron` is not a list: begin each entry with `- `");
            return Vec::new();
        };
        list.iter().filter_map(|node| self.entry(node)).collect()
    }

    fn entry(&mut self, node: &MarkedYaml<'static>) -> Option<CronEntry> {
        let Some(fields) = Field::of(node) else {
            self.mistakes.add(place(node), "an entry has keys: write `url: ..` and `schedule: ..`");
            return None;
        };
        let (mut read, mut begin) = (Fields::default(), None);
        for field in fields {
            match field {
                Ok(field) => {
                    begin.get_or_insert(field.key_place);
                    self.field(field, &mut read);
                }
                Err(place) => self.mistakes.add(place, NO_KEY),
            }
        }
        let begin = begin.unwrap_or_else(|| place(node));
        // Both are read, so that the mistakes of both are found.
        let (kind, cron) = (self.kind(&read, begin), self.cron(&read, begin));
        let Fields { description, target, retry, .. } = read;
        Some(CronEntry { kind: kind?, cron: cron?, description, target, retry, line: begin.0 })
    }

    fn field<'a>(&mut self, field: Field<'a>, read: &mut Fields<'a>) {
        match field.key {
            "url" => read.url = Some(field),
            "task" => read.task = Some(field),
            "schedule" => read.schedule = Some(field),
            "timezone" => read.timezone = Some(field),
            "description" => read.description = self.text(&field).map(str::to_owned),
            "target" => read.target = self.text(&field).map(str::to_owned),
            "retry_parameters" => read.retry = retry::read(&field, &mut self.mistakes),
            key => {
                self.mistakes.add(field.key_place, KEYS.unknown(key));
                read.meant.extend(KEYS.meant(key));
            }
        }
    }

    fn text<'a>(&mut self, field: &Field<'a>) -> Option<&'a str> {
        field.text().map_err(|mistake| self.mistakes.add(field.place(), mistake)).ok()
    }

    /// The kind that an entry names.
    fn kind(&mut self, read: &Fields<'_>, begin: Place) -> Option<Kind> {
        let (field, kind) = match (&read.task, &read.url) {
            (Some(task), _) => (task, self.text(task)?),
            (None, Some(url)) => (url, self.of_url(url)?),
            (None, None) => {
                if !read.meant.iter().any(|meant| ["url", "task"].contains(meant)) {
                    self.mistakes.add(begin, "the entry has no `url`: add it, or `task`");
                }
                return None;
            }
        };
        let kind = Kind::new(kind);
        kind.map_err(|error| self.mistakes.add(field.place(), error.to_string())).ok()
    }

    /// The kind in a `url`: what follows the prefix.
    fn of_url<'a>(&mut self, url: &Field<'a>) -> Option<&'a str> {
        let (text, prefix) = (self.text(url)?, self.prefix);
        let kind = text.strip_prefix(prefix).and_then(|rest| rest.strip_prefix('/'));
        let kind = kind.filter(|kind| !kind.is_empty());
        if kind.is_none() {
            let mistake = format!(
                "the url `{text}` names no task: write `{prefix}/MODULE.PATH/FUNCTION`, or the \
                 task's kind beside it as `task: MODULE.PATH/FUNCTION`"
            );
            self.mistakes.add(url.place(), mistake);
        }
        kind
    }

    /// The schedule of an entry in its time zone.
    fn cron(&mut self, read: &Fields<'_>, begin: Place) -> Option<Cron> {
        let cron = match &read.schedule {
            Some(field) => self.schedule(field),
            None => {
                if !read.meant.contains(&"schedule") {
                    self.mistakes.add(begin, "the entry has no `schedule`: add it");
                }
                None
            }
        };
        let Some(field) = &read.timezone else { return cron };
        let zone = self.text(field)?;
        // A zone is checked even if the schedule is not valid.
        let any = || Cron::parse("@daily");
        match cron.clone().map_or_else(any, Ok).and_then(|cron| cron.in_zone(zone)) {
            Ok(in_zone) => cron.map(|_| in_zone),
            Err(error) => {
                self.mistakes.add(field.place(), error.problems().join("; "));
                None
            }
        }
    }

    fn schedule(&mut self, field: &Field<'_>) -> Option<Cron> {
        match Cron::parse(self.text(field)?) {
            Ok(cron) => Some(cron),
            Err(error) => {
                for problem in error.problems() {
                    self.mistakes.add(field.place(), problem.clone());
                }
                None
            }
        }
    }
}

const NO_LIST: &str = "the file has no list of schedules: begin it with `cron:`";
const NO_KEY: &str = "a key is not a text: write `url`, `schedule` and the like";
