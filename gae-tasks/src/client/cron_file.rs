//! The schedules of a `cron.yaml`, declared like those of attributes.

use std::collections::BTreeMap;

use super::{Client, ClientBuilder};
use crate::backend::NewSchedule;
use crate::cron::{CronEntry, CronFile, Missed};
use crate::defer::Defer;
use crate::error::Error;
use crate::outcome::chain;
use crate::payload::Tracer;
use crate::registration::Registration;

impl ClientBuilder {
    /// Declares the schedules of an App Engine `cron.yaml` beside those of attributes: workers of
    /// the program store and tick them. A schedule is named after the kind of its task; a further
    /// one of the same task has a number after it, such as `shop.reports/daily/2`.
    ///
    /// Such tasks have no arguments, so each of their parameters has a default or is an `Option`.
    /// That, and tasks that this program does not have, is reported when a worker is built.
    ///
    /// ```no_run
    /// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
    /// use gae_tasks::{Client, CronFile};
    ///
    /// let file = CronFile::parse(&std::fs::read_to_string("cron.yaml")?)?;
    /// let tasks = Client::builder().cron_file(file).open("sqlite:shop.db").await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn cron_file(mut self, file: CronFile) -> Self {
        self.cron_file = Some(file);
        self
    }
}

impl Client {
    /// The schedules of the builder's file, beside `declared` ones. What is wrong with them is
    /// added to `problems`.
    pub(super) fn of_cron_file(
        &self,
        declared: &[NewSchedule],
        problems: &mut Vec<String>,
    ) -> Vec<NewSchedule> {
        let mut numbers: BTreeMap<String, u32> =
            declared.iter().map(|schedule| (schedule.name.clone(), 1)).collect();
        let mut schedules = Vec::new();
        for entry in self.0.cron_file.iter().flat_map(|file| file.entries()) {
            let number = numbers.entry(entry.kind().to_string()).or_insert(0);
            *number += 1;
            let name = match *number {
                1 => entry.kind().to_string(),
                number => format!("{}/{number}", entry.kind()),
            };
            match self.of_entry(&name, entry) {
                Ok(schedule) => schedules.push(schedule),
                Err(problem) => {
                    problems.push(format!("line {} of the `cron.yaml`: {problem}", entry.line()));
                }
            }
        }
        schedules
    }

    fn of_entry(&self, name: &str, entry: &CronEntry) -> Result<NewSchedule, String> {
        let kind = entry.kind().as_str();
        let Some(registration) = self.registry().by_kind(kind) else {
            return Err(format!(
                "this program has no task `{kind}`: correct the entry, or name the crate that \
                 defines the task in `gae_tasks::link!(..)`"
            ));
        };
        let call = Defer::of(registration, Ok(Vec::new()));
        let call = match entry.retry() {
            Some(retry) => call.retry(retry.clone()),
            None => call,
        };
        self.without_args(name, entry, call, registration)
            .map_err(|error| chain(&error))
            .and_then(|schedule| schedule.ok_or_else(|| takes_args(kind)))
    }

    /// The schedule whose tasks have no arguments: a payload without parameters, which the function
    /// reads by name. `None` if it needs some.
    fn without_args(
        &self,
        name: &str,
        entry: &CronEntry,
        call: Defer,
        registration: &Registration,
    ) -> Result<Option<NewSchedule>, Error> {
        let unreadable = |source| Error::Unreadable { kind: registration.kind.to_owned(), source };
        let schema = Tracer::schema(|_| Ok(())).map_err(unreadable)?;
        let (shape, bytes) = (schema.shape(), schema.as_bytes());
        if self.registry().find(registration.kind, shape, Some(bytes)).is_none() {
            return Ok(None);
        }
        let task = call.template(self, name)?.with(|task| {
            task.spec.shape = shape;
            task.schema = bytes.into();
        });
        self.new_schedule(name, entry.cron(), Missed::default(), task).map(Some)
    }
}

fn takes_args(kind: &str) -> String {
    format!(
        "`{kind}` has parameters without a default, and an entry gives none: mark them \
         `#[default]`, or declare the schedule by `cron` and `cron_args(..)` of the attribute"
    )
}
