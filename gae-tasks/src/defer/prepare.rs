//! Turns a call into a task: checks every option against the capabilities of the client's backend.

use std::time::Duration;

use super::Defer;
use super::options::Options;
use crate::attributes::Attributes;
use crate::backend::{Capabilities, NewTask};
use crate::client::Client;
use crate::error::Error;
use crate::payload::{UnreadableError, bytes_beside};
use crate::queue::{NO_ATTEMPT, QueueName, RetryConfig, TypeBackoff, spread};
use crate::registration::Registration;
use crate::task::{Kind, TaskId, TaskName, TaskSpec};
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

impl Defer {
    /// Checks the options, and returns the task to be stored.
    pub(crate) fn prepare(self, client: &Client) -> Result<Prepared, Error> {
        if let Some(options) = &self.options {
            options.check_backend(self.kind(), client.capabilities())?;
        }
        self.check_backoff(client.capabilities())?;
        self.prepare_for(client, true)
    }

    /// Whether the backend supports the backoff that the call or the task's type states.
    fn check_backoff(&self, limits: &Capabilities) -> Result<(), Error> {
        let of_call = self.options.as_ref().and_then(|options| options.retry.as_ref());
        let stated = if of_call.is_some_and(RetryConfig::has_own_backoff) {
            "`.retry(..)`"
        } else if self.registration.backoff.is_stated() {
            TypeBackoff::KEYS
        } else {
            return Ok(());
        };
        if limits.backoff {
            return Ok(());
        }
        Err(Error::UnsupportedBackoff {
            kind: self.kind().to_owned(),
            stated,
            backend: limits.backend,
        })
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
        check_size(kind, payload.len(), beside, client)?;
        check_attempts(kind, self.max_attempts)?;
        check_schedule(kind, self.schedule, client)?;
        check_deadline(kind, self.deadline.or(registration.deadline), client.capabilities())?;
        let Options { retry, target, headers } = match self.options {
            Some(options) => options.check(kind).map(|()| *options)?,
            None => Options::default(),
        };
        let id = TaskId::generate();
        let name = self.name.map(TaskName::new).transpose()?;
        let queue = queue(self.queues, registration, client, name.as_ref(), id)?;
        let traceparent = client.traceparent();
        // A push queue closes the connection at the deadline, so the queue must know the type's
        // deadline too; a worker knows it anyway.
        let of_type = registration.deadline.filter(|_| is_stored && !client.capabilities().pull);
        let spec = TaskSpec {
            name,
            // The smaller cap: the type's cap must also hold if leases are lost, when no worker
            // applies it.
            max_attempts: [self.max_attempts, registration.max_attempts]
                .into_iter()
                .flatten()
                .min(),
            retry,
            deadline: self.deadline.or(of_type),
            attributes: Attributes { spilled: None, traceparent, target, headers }.encode(),
            ..TaskSpec::new(id, Kind::from_static(kind), shape, queue)
        };
        let task = NewTask { spec, payload, schema, sensitive, schedule: self.schedule };
        Ok(Prepared { task, must_be_new: self.must_be_new })
    }
}

/// Checks the size of a payload, and of the bytes that travel `beside` it.
fn check_size(kind: &str, payload: usize, beside: usize, client: &Client) -> Result<(), Error> {
    let (kind, limits) = (|| kind.to_owned(), client.capabilities());
    if beside > limits.max_payload {
        let (size, limit, backend) = (beside, limits.max_payload, limits.backend);
        return Err(Error::SchemaTooLarge { kind: kind(), size, limit, backend });
    }
    // A payload store takes the payload, and nothing of what travels beside it.
    let beside = if client.has_payload_store() { 0 } else { beside };
    let (size, limit) = (payload + beside, client.max_payload());
    if size > limit {
        return Err(Error::PayloadTooLarge { kind: kind(), size, beside, limit });
    }
    Ok(())
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

fn check_deadline(
    kind: &str,
    deadline: Option<Duration>,
    limits: &Capabilities,
) -> Result<(), Error> {
    let (least, most) = (limits.min_deadline, limits.max_deadline);
    match deadline.filter(|deadline| !(least..=most).contains(deadline)) {
        Some(deadline) => Err(Error::DeadlineOutOfRange {
            kind: kind.to_owned(),
            deadline,
            least,
            most,
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
