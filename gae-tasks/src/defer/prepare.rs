//! Turns a call into a task: checks every option against the capabilities of the client's backend.

use std::time::Duration;

use super::Defer;
use super::options::Options;
use super::unique::Unique;
use crate::attributes::Attributes;
use crate::backend::accept::{
    check_backoff, check_deadline, check_options, check_priority, check_size, check_unique,
};
use crate::backend::{Capabilities, NewTask};
use crate::client::Client;
use crate::error::Error;
use crate::payload::{UnreadableError, bytes_beside};
use crate::queue::{HIGHEST, LOWEST, NO_ATTEMPT, QueueName, RetryConfig, TypeBackoff, spread};
use crate::registration::Registration;
use crate::task::{Kind, OnConflict, TaskId, TaskName, TaskSpec};
use crate::time::Schedule;

/// A task whose options are checked.
#[derive(Debug)]
pub(crate) struct Prepared {
    pub(crate) task: NewTask,
    pub(crate) must_be_new: bool,
}

impl Prepared {
    /// The queue of the task.
    pub(crate) fn queue(&self) -> &QueueName {
        &self.task.spec.queue
    }

    /// The name and queue of the task, if the name must be new.
    pub(crate) fn new_name(&self) -> Option<(TaskName, QueueName)> {
        let name = self.task.spec.name.clone().filter(|_| self.must_be_new)?;
        Some((name, self.task.spec.queue.clone()))
    }
}

/// Which options of a call not all backends have.
#[derive(Debug, Clone, Copy, Default)]
struct Needs {
    target: bool,
    headers: bool,
    backoff: bool,
    /// Where a priority is stated.
    priority: Option<&'static str>,
}

impl Needs {
    /// Checks that a backend has these options, and the backoff of the task's type.
    fn check(self, registration: &Registration, limits: &Capabilities) -> Result<(), Error> {
        let kind = registration.kind;
        check_options(kind, self.target, self.headers, limits)?;
        check_priority(kind, self.priority, limits)?;
        let of_type = registration.backoff.is_stated().then_some(TypeBackoff::KEYS);
        check_backoff(kind, self.backoff.then_some("`.retry(..)`").or(of_type), limits)
    }
}

impl Defer {
    /// Checks the options, and returns the task to be stored. A task of a queue that is relayed
    /// must be one that its destination accepts, too.
    pub(crate) fn prepare(self, client: &Client) -> Result<Prepared, Error> {
        let registration = self.registration;
        if !client.has_relays() {
            self.check_options(client.capabilities())?;
            return self.prepare_for(client, true);
        }
        let needs = self.needs();
        let mut prepared = self.prepare_for(client, true)?;
        let destinations = client.destinations_of(prepared.queue());
        if destinations.is_empty() {
            needs.check(registration, client.capabilities())?;
        }
        for destination in destinations {
            // The destination closes the connection at the deadline, so it must know the type's.
            prepared.task.spec.deadline = prepared.task.spec.deadline.or(registration.deadline);
            needs.check(registration, destination.capabilities())?;
            destination.check(&prepared.task)?;
        }
        Ok(prepared)
    }

    /// Whether the backend supports the options that not all backends have.
    fn check_options(&self, limits: &Capabilities) -> Result<(), Error> {
        self.needs().check(self.registration, limits)
    }

    /// The options of the call that not all backends have.
    fn needs(&self) -> Needs {
        let of_type = (self.registration.priority != 0).then_some("`priority` in its attribute");
        let of_call = |priority: i8| (priority != 0).then_some("`.priority(..)`");
        let priority = self.priority.map_or(of_type, of_call);
        let Some(options) = &self.options else { return Needs { priority, ..Needs::default() } };
        Needs {
            priority,
            target: options.target.is_some(),
            headers: !options.headers.is_empty(),
            backoff: options.retry.as_ref().is_some_and(RetryConfig::has_own_backoff),
        }
    }

    /// Checks the options, and returns the task to be run at once. Capabilities of the backend do
    /// not matter, as the task does not reach it.
    pub(crate) fn prepare_inline(self, client: &Client) -> Result<NewTask, Error> {
        Ok(self.prepare_for(client, false)?.task)
    }

    fn prepare_for(self, client: &Client, is_stored: bool) -> Result<Prepared, Error> {
        let registration = self.registration;
        let kind = registration.kind;
        let payload =
            self.payload.map_err(|source| Error::Unreadable { kind: kind.to_owned(), source })?;
        let unreadable = |error: &UnreadableError| Error::Unreadable {
            kind: kind.to_owned(),
            source: error.clone(),
        };
        let shape = registration.shape().map_err(unreadable)?;
        let schema = registration.schema_bytes().map_err(unreadable)?;
        let sensitive = registration.sensitive_paths().clone();
        let carried = is_stored && client.capabilities().schemas_travel;
        let beside = if carried { bytes_beside(&schema, &sensitive) } else { 0 };
        check_size(kind, payload.len(), beside, client.sizes(), client.capabilities())?;
        check_attempts(kind, self.max_attempts)?;
        check_range(kind, self.priority)?;
        check_deadline(kind, self.deadline.or(registration.deadline), client.capabilities())?;
        let Options { retry, target, headers, unique } = match self.options {
            Some(options) => options.check(kind).map(|()| *options)?,
            None => Options::default(),
        };
        let id = TaskId::generate();
        let mut name = self.name.map(TaskName::new).transpose()?;
        check_known(kind, unique.as_ref(), name.as_ref(), self.must_be_new)?;
        let of_type = registration.unique_by.filter(|_| name.is_none());
        let unique = unique.or_else(|| of_type.map(|_| Unique::by_args()));
        let (schedule, on_conflict) = match &unique {
            Some(unique) => (unique.schedule(kind, self.schedule)?, unique.on_conflict()),
            None => (self.schedule, OnConflict::KEEP),
        };
        check_schedule(kind, schedule, client)?;
        let key = unique.map(|unique| unique.key(registration, &payload)).transpose();
        let mut unique = key.map_err(|error| Error::InvalidOption {
            kind: kind.to_owned(),
            option: ".unique(..)",
            problem: format!("makes no key: {error}"),
        })?;
        // All tasks of a key are in one queue.
        let chosen = unique.map_or(id, |key| TaskId::from_bytes(*key.as_bytes()));
        let queue = queue(self.queues, registration, client, name.as_ref(), chosen)?;
        if is_stored && let Some(key) = unique.filter(|_| !client.capabilities().unique) {
            check_unique(kind, on_conflict, client.capabilities())?;
            (name, unique) = (Some(TaskName::new(format!("unique-{key}"))?), None);
        }
        let traceparent = client.traceparent();
        // A push queue closes the connection at the deadline, so the queue must know the type's
        // deadline too; a worker knows it anyway.
        let of_type = registration.deadline.filter(|_| is_stored && !client.capabilities().pull);
        let spec = TaskSpec {
            name,
            unique,
            // The smaller cap: the type's cap must also hold if leases are lost, when no worker
            // applies it.
            max_attempts: [self.max_attempts, registration.max_attempts]
                .into_iter()
                .flatten()
                .min(),
            retry,
            deadline: self.deadline.or(of_type),
            priority: self.priority.unwrap_or(registration.priority),
            attributes: Attributes { spilled: None, traceparent, target, headers }.encode(),
            ..TaskSpec::new(id, Kind::from_static(kind), shape, queue)
        };
        let task = NewTask { spec, payload, schema, sensitive, schedule, on_conflict };
        Ok(Prepared { task, must_be_new: self.must_be_new })
    }
}

fn check_attempts(kind: &str, most: Option<u32>) -> Result<(), Error> {
    match most {
        Some(0) => {
            let problem = format!("allows no attempt: {NO_ATTEMPT}");
            Err(Error::InvalidOption { kind: kind.to_owned(), option: ".max_attempts(0)", problem })
        }
        _ => Ok(()),
    }
}

/// A unique task has no name, and what is for names is not for it.
fn check_known(
    kind: &str,
    unique: Option<&Unique>,
    name: Option<&TaskName>,
    must_be_new: bool,
) -> Result<(), Error> {
    let (option, problem) = match (unique, name) {
        (Some(_), Some(name)) => {
            let problem = format!("and `.named(\"{name}\")` exclude each other: remove one");
            (".unique(..)", problem)
        }
        (Some(_), None) if must_be_new => {
            let problem = "is for names: the answer of a unique call says what happened, as \
                           `Deferred::conflict`";
            (".must_be_new()", problem.to_owned())
        }
        _ => return Ok(()),
    };
    Err(Error::InvalidOption { kind: kind.to_owned(), option, problem })
}

fn check_range(kind: &str, priority: Option<i8>) -> Result<(), Error> {
    match priority.filter(|priority| !(LOWEST..=HIGHEST).contains(priority)) {
        Some(priority) => {
            let problem = format!("is {priority}: use {LOWEST} to {HIGHEST}, higher is sooner");
            Err(Error::InvalidOption { kind: kind.to_owned(), option: ".priority(..)", problem })
        }
        None => Ok(()),
    }
}

fn check_schedule(kind: &str, schedule: Schedule, client: &Client) -> Result<(), Error> {
    let limits = client.capabilities();
    let ahead = match schedule {
        Schedule::Now => Duration::ZERO,
        Schedule::After(delay) => delay,
        Schedule::At(at) => at.since(client.clock().wall()),
    };
    match limits.schedule_horizon.filter(|horizon| ahead > *horizon) {
        Some(horizon) => Err(Error::BeyondHorizon {
            kind: kind.to_owned(),
            ahead,
            horizon,
            backend: limits.backend,
        }),
        None => Ok(()),
    }
}

/// The queue of the task: one of those that the call names, or otherwise of the task type's.
fn queue(
    named: Option<Vec<String>>,
    registration: &Registration,
    client: &Client,
    name: Option<&TaskName>,
    id: TaskId,
) -> Result<QueueName, Error> {
    let queue = match named {
        Some(queues) => {
            let queues = queues.into_iter().map(QueueName::new).collect::<Result<Vec<_>, _>>()?;
            spread(&queues, name, id).cloned()
        }
        None => client.queue_of(registration, name, id),
    };
    queue.ok_or_else(|| Error::NoQueue { kind: registration.kind.to_owned() })
}
