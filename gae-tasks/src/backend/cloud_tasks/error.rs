//! Turns Google's refusals into errors that say what to do.

use std::time::Duration;

use google_cloud_gax::error::Error as GoogleError;
use google_cloud_gax::error::rpc::Code;

use super::call::Failure;
use super::limits::{HORIZON, MAX_TASK_BYTES, NAME};
use super::name::Location;
use super::target::Target;
use crate::backend::NewTask;
use crate::error::Error;
use crate::outcome::BoxError;
use crate::queue::QueueName;
use crate::time::{Timestamp, readable};

/// A request to Google, for error messages.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asked<'a> {
    pub(super) place: &'a Location,
    pub(super) queue: Option<&'a QueueName>,
    /// The permission that the request needs.
    pub(super) permission: &'static str,
    /// A role that includes the permission.
    pub(super) role: &'static str,
}

/// Returns the error of a call that does not store a task.
pub(super) fn refused(asked: Asked<'_>, failure: Failure) -> Error {
    match failure {
        Failure::OutOfTime { limit, last } => {
            out_of_time(limit, last, "the call may have been carried out nevertheless")
        }
        Failure::Refused(error) => failed(problem(asked, &error), error.into()),
    }
}

/// A task that Google was asked to store.
#[derive(Clone, Copy)]
pub(super) struct Sent<'a> {
    pub(super) asked: Asked<'a>,
    pub(super) target: &'a Target,
    pub(super) task: &'a NewTask,
    pub(super) now: Timestamp,
    /// Whether an answer was lost before the failure.
    pub(super) lost: bool,
}

/// Returns the error of a task that could not be stored.
pub(super) fn not_stored(sent: Sent<'_>, failure: Failure) -> Error {
    match failure {
        Failure::OutOfTime { limit, last } if sent.lost => {
            let unknown = "whether the task is stored is not known: deferred again under the same \
                           `.named(..)` it is stored once";
            out_of_time(limit, last, unknown)
        }
        Failure::OutOfTime { limit, last } => out_of_time(limit, last, "nothing was stored"),
        Failure::Refused(error) => beyond_limits(sent, &error).unwrap_or_else(|| {
            let problem = problem_of_task(sent, &error);
            if error.status().is_some_and(|status| status.code == Code::InvalidArgument) {
                return Error::TaskRefused { backend: NAME, problem, source: error.into() };
            }
            failed(problem, error.into())
        }),
    }
}

/// Returns the error of a limit that clients check beforehand. Google may disagree: its clock
/// differs, and its limits may change.
fn beyond_limits(sent: Sent<'_>, error: &GoogleError) -> Option<Error> {
    let Sent { task, now, .. } = sent;
    let status = error.status();
    let text = status.map_or("", |status| status.message.as_str());
    let invalid = status
        .is_some_and(|status| matches!(status.code, Code::InvalidArgument | Code::OutOfRange));
    let kind = task.spec.kind.to_string();
    if is_too_large(invalid, text, error) {
        let beside = task.bytes_beside();
        let (size, limit) = (task.payload.len() + beside, MAX_TASK_BYTES);
        return Some(Error::PayloadTooLarge { kind, size, beside, limit });
    }
    if invalid && text.contains("scheduleTime") {
        let ahead = task.schedule.resolve(now).since(now);
        return Some(Error::BeyondHorizon { kind, ahead, horizon: HORIZON, backend: NAME });
    }
    let deadline = task.spec.deadline.filter(|_| invalid && text.contains("dispatchDeadline"))?;
    let (least, most) = sent.target.deadlines();
    Some(Error::DeadlineOutOfRange { kind, deadline, least, most, backend: NAME })
}

fn problem_of_task(sent: Sent<'_>, error: &GoogleError) -> String {
    let kind = &sent.task.spec.kind;
    match (error.status().map(|status| status.code), sent.target.service_account()) {
        (Some(Code::NotFound), Some(account)) if !names_queue(error) => {
            format!(
                "finds no service account `{account}` to sign the tokens of `{kind}`: create it, \
                 or name another"
            )
        }
        (Some(Code::PermissionDenied), Some(account)) => format!(
            "{}; it must also be allowed to act as `{account}`, whose tokens the tasks carry (role \
             `roles/iam.serviceAccountUser` on that account)",
            problem(sent.asked, error)
        ),
        (Some(Code::InvalidArgument), _) => {
            format!(
                "does not accept a task of `{kind}`: the reason, below, names the option to change"
            )
        }
        _ => problem(sent.asked, error),
    }
}

fn is_too_large(invalid: bool, text: &str, error: &GoogleError) -> bool {
    let text = text.to_ascii_lowercase();
    error.http_status_code() == Some(413)
        || invalid && text.contains("size") && text.contains("task")
}

fn problem(asked: Asked<'_>, error: &GoogleError) -> String {
    let Asked { place, queue, permission, role } = asked;
    let code = error.status().map(|status| status.code);
    match (code, queue) {
        (Some(Code::NotFound), Some(queue)) => format!(
            "has no queue `{queue}` in {place}: create it (`client.put_queue(\"{queue}\", ..)`, or \
             `gcloud tasks queues create {queue} --location={} --max-attempts=-1 \
             --min-backoff=1s`); a new one needs up to a minute",
            place.location
        ),
        (Some(Code::PermissionDenied), _) => format!(
            "refuses this in {place}: give the service account that this program runs as the \
             permission `{permission}` \
             (role `{role}`), and see that the project exists and has the Cloud Tasks API enabled"
        ),
        (Some(Code::Unauthenticated), _) | (None, _)
            if error.is_authentication() || code.is_some() =>
        {
            "does not know who asks: give this program credentials (`gcloud auth \
             application-default login` on a developer's machine, a service account elsewhere; \
             `CLOUD_TASKS_EMULATOR_HOST` for a local server)"
                .to_owned()
        }
        (Some(Code::FailedPrecondition), Some(queue)) => {
            format!(
                "cannot do this to queue `{queue}` of {place} in its present state: the reason is \
                 below"
            )
        }
        _ => format!("refuses this in {place}: the reason is below"),
    }
}

/// Whether a task was refused because its queue is missing: a missing service account of the target
/// has the same code.
pub(super) fn is_queue_missing(target: &Target, error: &GoogleError) -> bool {
    error.status().is_some_and(|status| status.code == Code::NotFound)
        && (target.service_account().is_none() || names_queue(error))
}

fn names_queue(error: &GoogleError) -> bool {
    error.status().is_some_and(|status| status.message.contains("Queue"))
}

fn out_of_time(limit: Duration, last: Option<GoogleError>, consequence: &str) -> Error {
    let reached = match &last {
        Some(error) if error.is_connect() => "could not be reached",
        Some(error) if error.is_authentication() => {
            "could not be asked, as no token for it could be obtained,"
        }
        _ => "gave no answer",
    };
    let problem = format!("{reached} within {}; {consequence}", readable(limit));
    failed(problem, last.map_or_else(|| BoxError::from("no answer came"), Into::into))
}

/// Creates a storage error; `problem` says what to do about it.
pub(super) fn failed(problem: String, source: BoxError) -> Error {
    Error::Storage { backend: NAME, problem, source }
}
