//! The limits of a backend on a task: its size, its deadline, and the options that not all backends
//! have.

pub(crate) mod queue;

use std::time::Duration;

use super::capabilities::Capabilities;
use super::request::NewTask;
use crate::attributes::Attributes;
use crate::error::Error;
use crate::queue::RetryConfig;
use crate::task::{OnConflict, Reschedule};

/// The sizes that a client of a backend accepts.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sizes {
    /// The most bytes of a payload.
    pub(crate) payload: usize,
    /// Whether large payloads go to a payload store.
    pub(crate) has_store: bool,
}

/// Checks the size of a payload, and of the bytes that travel `beside` it.
///
/// # Errors
/// [`Error::PayloadTooLarge`], [`Error::SchemaTooLarge`].
pub(crate) fn check_size(
    kind: &str,
    payload: usize,
    beside: usize,
    sizes: Sizes,
    limits: &Capabilities,
) -> Result<(), Error> {
    let kind = || kind.to_owned();
    if beside > limits.max_payload {
        let (size, limit, backend) = (beside, limits.max_payload, limits.backend);
        return Err(Error::SchemaTooLarge { kind: kind(), size, limit, backend });
    }
    // A payload store takes the payload, and nothing of what travels beside it.
    let beside = if sizes.has_store { 0 } else { beside };
    let (size, limit) = (payload + beside, sizes.payload);
    if size > limit {
        return Err(Error::PayloadTooLarge { kind: kind(), size, beside, limit });
    }
    Ok(())
}

/// Checks a dispatch deadline.
///
/// # Errors
/// [`Error::DeadlineOutOfRange`].
pub(crate) fn check_deadline(
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

/// Checks that the backend has a backoff of single tasks, which is `stated` in this place.
///
/// # Errors
/// [`Error::UnsupportedBackoff`].
pub(crate) fn check_backoff(
    kind: &str,
    stated: Option<&'static str>,
    limits: &Capabilities,
) -> Result<(), Error> {
    match stated.filter(|_| !limits.backoff) {
        Some(stated) => {
            let (kind, backend) = (kind.to_owned(), limits.backend);
            Err(Error::UnsupportedBackoff { kind, stated, backend })
        }
        None => Ok(()),
    }
}

/// Checks that the backend has priorities, if the task has one, which is `stated` in this place.
///
/// # Errors
/// [`Error::UnsupportedPriority`].
pub(crate) fn check_priority(
    kind: &str,
    stated: Option<&'static str>,
    limits: &Capabilities,
) -> Result<(), Error> {
    match stated.filter(|_| !limits.priorities) {
        Some(stated) => {
            let (kind, backend) = (kind.to_owned(), limits.backend);
            Err(Error::UnsupportedPriority { kind, stated, backend })
        }
        None => Ok(()),
    }
}

/// Checks that names can do what a unique task asks for, on a backend that has nothing else.
///
/// # Errors
/// [`Error::UnsupportedUnique`].
pub(crate) fn check_unique(
    kind: &str,
    rules: OnConflict,
    limits: &Capabilities,
) -> Result<(), Error> {
    let how = match rules {
        _ if limits.unique => return Ok(()),
        OnConflict { replaces_args: true, .. } => "and replaces the args of a waiting task",
        OnConflict { reschedules: Reschedule::ToCall | Reschedule::Within(_), .. } => {
            "and changes the time of a waiting task"
        }
        OnConflict { over_running: false, .. } => "behind a task that runs",
        OnConflict { over_dead: false, .. } => "though not over dead letters",
        OnConflict { over_finished: false, .. } => "though not over finished tasks",
        _ => return Ok(()),
    };
    Err(Error::UnsupportedUnique { kind: kind.to_owned(), how, backend: limits.backend })
}

/// Checks that the backend has the options that only some backends have.
///
/// # Errors
/// [`Error::UnsupportedOption`].
pub(crate) fn check_options(
    kind: &str,
    has_target: bool,
    has_headers: bool,
    limits: &Capabilities,
) -> Result<(), Error> {
    let option = match (has_target && !limits.targets, has_headers && !limits.headers) {
        (true, _) => ".target(..)",
        (false, true) => ".header(..)",
        (false, false) => return Ok(()),
    };
    Err(Error::UnsupportedOption { kind: kind.to_owned(), option, backend: limits.backend })
}

/// Checks a task that another backend stores first, whatever that backend accepts. Its schedule
/// time is not checked: the task may wait there until it fits.
///
/// # Errors
/// As the checks above.
pub(crate) fn check_task(task: &NewTask, sizes: Sizes, limits: &Capabilities) -> Result<(), Error> {
    let (kind, spec) = (task.spec.kind.as_str(), &task.spec);
    let beside = if limits.schemas_travel { task.bytes_beside() } else { 0 };
    check_size(kind, task.payload.len(), beside, sizes, limits)?;
    check_deadline(kind, spec.deadline, limits)?;
    let has_own = spec.retry.as_ref().is_some_and(RetryConfig::has_own_backoff);
    check_backoff(kind, has_own.then_some("`.retry(..)`"), limits)?;
    let has_priority = spec.priority != 0;
    check_priority(kind, has_priority.then_some("of its call or its attribute"), limits)?;
    let Some(attributes) = Attributes::decode(spec.attributes.as_deref()) else { return Ok(()) };
    check_options(kind, attributes.target.is_some(), !attributes.headers.is_empty(), limits)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attributes::Target;
    use crate::queue::QueueName;
    use crate::task::{Kind, Shape, TaskId, TaskSpec};

    const SIZES: Sizes = Sizes { payload: 100, has_store: false };

    fn limits() -> Capabilities {
        Capabilities {
            max_payload: 100,
            schemas_travel: true,
            max_deadline: Duration::from_secs(1800),
            backoff: false,
            priorities: false,
            ..Capabilities::new("far")
        }
    }

    fn refusal(sizes: Sizes, change: impl FnOnce(&mut NewTask)) -> String {
        let (kind, shape) = (Kind::from_static("shop/send"), Shape::from_bits(1));
        let spec = TaskSpec::new(TaskId::from_bytes([7; 16]), kind, shape, QueueName::DEFAULT);
        let task = NewTask::new(spec, vec![0; 60], vec![0; 30]).with(change);
        check_task(&task, sizes, &limits())
            .map_or_else(|error| error.to_string(), |()| String::new())
    }

    #[test]
    fn a_task_that_the_other_backend_accepts_passes() {
        assert_eq!(refusal(SIZES, |_| {}), "");
        assert_eq!(refusal(SIZES, |task| task.spec.retry = Some(RetryConfig::new())), "");
        assert_eq!(
            refusal(Sizes { payload: 500, has_store: true }, |task| task.payload = vec![0; 400]),
            ""
        );
    }

    #[test]
    fn each_limit_of_the_other_backend_is_checked() {
        let too_large = refusal(SIZES, |task| task.payload = vec![0; 90]);
        assert!(too_large.contains("limit is 100"), "{too_large}");
        let schema = refusal(SIZES, |task| task.schema = vec![0; 101].into());
        assert!(schema.contains("schema of `shop/send`"), "{schema}");
        let late = refusal(SIZES, |task| task.spec.deadline = Some(Duration::from_secs(3600)));
        assert!(late.contains("deadline") && late.contains("`far`"), "{late}");
        let backoff = RetryConfig::new().with_min_backoff(Duration::from_secs(5));
        let backoff = refusal(SIZES, |task| task.spec.retry = Some(backoff));
        assert!(backoff.contains("its own backoff (`.retry(..)`)"), "{backoff}");
        let priority = refusal(SIZES, |task| task.spec.priority = -1);
        assert!(priority.contains("`shop/send` has a priority") && priority.contains("`far`"));
        let of = |attributes: Attributes| {
            refusal(SIZES, |task| task.spec.attributes = attributes.encode())
        };
        let target = Some(Target { service: "w".to_owned(), version: None });
        let target = of(Attributes { target, ..Attributes::default() });
        assert!(target.contains("`.target(..)`"), "{target}");
        let headers = vec![("x".to_owned(), "y".to_owned())];
        let header = of(Attributes { headers, ..Attributes::default() });
        assert!(header.contains("`.header(..)`"), "{header}");
    }
}
