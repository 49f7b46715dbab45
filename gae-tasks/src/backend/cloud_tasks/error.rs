//! What Google refuses, told so that one can mend it.

use std::time::Duration;

use google_cloud_gax::error::Error as GoogleError;
use google_cloud_gax::error::rpc::Code;

use super::call::Failure;
use super::name::Place;
use super::target::Target;
use super::{MAX_TASK_BYTES, NAME};
use crate::backend::NewTask;
use crate::error::Error;
use crate::outcome::BoxError;
use crate::queue::QueueName;
use crate::time::Timestamp;

/// What was asked of Google.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asked<'a> {
    pub(super) place: &'a Place,
    pub(super) queue: Option<&'a QueueName>,
    /// The permission it needs.
    pub(super) permission: &'static str,
    /// A role that has it.
    pub(super) role: &'static str,
}

/// Why something that is no task could not be done.
pub(super) fn refused(asked: Asked<'_>, failure: Failure) -> Error {
    match failure {
        Failure::OutOfTime { limit, last } => out_of_time(limit, last, "it may have been done all the same"),
        Failure::Refused(error) => failed(problem(asked, &error), error.into()),
    }
}

/// Why a task could not be stored.
pub(super) fn not_stored(
    asked: Asked<'_>,
    target: &Target,
    task: &NewTask,
    now: Timestamp,
    lost: bool,
    failure: Failure,
) -> Error {
    let error = match failure {
        Failure::OutOfTime { limit, last } => {
            let stored = if lost {
                "whether the task is stored is not known: deferred again under the same `.named(..)` it is stored once"
            } else {
                "nothing was stored"
            };
            return out_of_time(limit, last, stored);
        }
        Failure::Refused(error) => error,
    };
    let code = error.status().map(|status| status.code);
    let text = error.status().map_or("", |status| status.message.as_str());
    let invalid = matches!(code, Some(Code::InvalidArgument | Code::FailedPrecondition | Code::OutOfRange));
    let kind = || task.kind.to_string();
    if invalid && text.contains("scheduleTime") {
        let ahead = task.schedule.resolve(now).since(now);
        return Error::BeyondHorizon { kind: kind(), ahead, horizon: super::HORIZON, backend: NAME };
    }
    if let Some(deadline) = task.deadline.filter(|_| invalid && text.contains("dispatchDeadline")) {
        let (least, most) = target.deadlines();
        return Error::DeadlineOutOfRange { kind: kind(), deadline, least, most, backend: NAME };
    }
    if is_too_large(invalid, text, &error) {
        return Error::PayloadTooLarge { kind: kind(), size: task.payload.len(), limit: MAX_TASK_BYTES };
    }
    let problem = match (code, target.service_account()) {
        (Some(Code::NotFound), Some(account)) if !names_queue(&error) => {
            format!(
                "finds no service account `{account}` to sign the tokens of `{}`: create it, or name another",
                task.kind
            )
        }
        (Some(Code::PermissionDenied), Some(account)) => format!(
            "{}; it must also be allowed to act as `{account}`, whose tokens the tasks carry (role \
             `roles/iam.serviceAccountUser` on that account)",
            problem(asked, &error)
        ),
        (Some(Code::InvalidArgument), _) => {
            format!("does not accept a task of `{}`: its reason, below, names the option to change", task.kind)
        }
        _ => problem(asked, &error),
    };
    failed(problem, error.into())
}

fn is_too_large(invalid: bool, text: &str, error: &GoogleError) -> bool {
    let text = text.to_ascii_lowercase();
    error.http_status_code() == Some(413) || invalid && text.contains("size") && text.contains("task")
}

fn problem(asked: Asked<'_>, error: &GoogleError) -> String {
    let Asked { place, queue, permission, role } = asked;
    let code = error.status().map(|status| status.code);
    match (code, queue) {
        (Some(Code::NotFound), Some(queue)) => format!(
            "has no queue `{queue}` in {place}: create it (`client.put_queue(\"{queue}\", ..)`, or `gcloud tasks queues \
             create {queue} --location={}`); a new one needs up to a minute",
            place.location
        ),
        (Some(Code::PermissionDenied), _) => format!(
            "refuses this in {place}: give the service account that this program runs as the permission `{permission}` \
             (role `{role}`), and see that the project exists and has the Cloud Tasks API enabled"
        ),
        (Some(Code::Unauthenticated), _) | (None, _) if error.is_authentication() || code.is_some() => {
            "does not know who asks: give this program credentials (`gcloud auth application-default login` on a \
             developer's machine, a service account elsewhere; `CLOUD_TASKS_EMULATOR_HOST` for a local server)"
                .to_owned()
        }
        (Some(Code::FailedPrecondition), Some(queue)) => {
            format!("cannot do this to queue `{queue}` of {place} as it stands: its reason is below")
        }
        _ => format!("refuses this in {place}: its reason is below"),
    }
}

fn names_queue(error: &GoogleError) -> bool {
    error.status().is_some_and(|status| status.message.contains("Queue"))
}

fn out_of_time(limit: Duration, last: Option<GoogleError>, consequence: &str) -> Error {
    let reached = match &last {
        Some(error) if error.is_connect() => "could not be reached",
        Some(error) if error.is_authentication() => "could not be asked, as no token for it was to be had,",
        _ => "gave no answer",
    };
    let problem = format!("{reached} within {limit:?}; {consequence}");
    failed(problem, last.map_or_else(|| BoxError::from("no answer came"), Into::into))
}

/// The storage's error, with what to do about it.
pub(super) fn failed(problem: String, source: BoxError) -> Error {
    Error::Storage { backend: NAME, problem, source }
}
