//! Converts a task to the request that Google stores: a name, a schedule, and an HTTP request with
//! the envelope as its body.

use std::collections::HashMap;
use std::time::Duration;

use bytes::Bytes;
use google_cloud_tasks_v2::model::task::MessageType;
use google_cloud_tasks_v2::model::{CreateTaskRequest, Task};

use super::limits::NAME;
use super::name::{id_for, of_copy, of_unnamed};
use super::retries::{duration, unlimited};
use super::shared::Shared;
use super::target::Parts;
use crate::attributes::Attributes;
use crate::backend::NewTask;
use crate::envelope::letter::Letter;
use crate::envelope::{Copied, Envelope};
use crate::error::Error;
use crate::queue::{QueueName, RetryConfig};
use crate::task::{Kind, Shape, TaskId, TaskName};
use crate::time::Timestamp;

/// The header that identifies a stored task and the call that made it, without reading the body.
const MARK: &str = "X-Deferred-Task";

/// The header that marks a stored task as a dead letter, without reading the body: `1`, or `1/NAME`
/// of a task that was named.
const LETTER: &str = "X-Deferred-Letter";

/// A task on its way to Google.
#[derive(Debug, Clone)]
pub(super) struct Draft {
    /// The id by which callers know the task.
    pub(super) id: TaskId,
    pub(super) mark: Mark,
    pub(super) request: CreateTaskRequest,
}

/// The parts in which a copy differs from the task that was deferred.
struct Called<'a> {
    id: TaskId,
    /// The name at Google.
    name: String,
    /// The task's own retry settings, in place of the queue's.
    own_retry: Option<&'a RetryConfig>,
    copied: Option<Copied>,
}

/// The content of the header that identifies a stored task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Mark {
    /// The id made for one call: two calls with one task name differ in it.
    pub(super) call: TaskId,
    pub(super) shape: Shape,
    pub(super) kind: Kind,
}

impl Draft {
    /// Creates the draft of a task.
    ///
    /// # Errors
    /// The task needs something that this backend, or this version of it, cannot do.
    pub(super) fn of(shared: &Shared, task: &NewTask, now: Timestamp) -> Result<Self, Error> {
        let (id, name) = match &task.spec.name {
            Some(name) => (id_for(&task.spec.queue, name), name.to_string()),
            None => (task.spec.id, of_unnamed(task.spec.id)),
        };
        let (own_retry, copied) = (task.spec.retry.as_ref(), life_from(task.spec.id, now));
        Self::called(shared, Called { id, name, own_retry, copied }, task, now)
    }

    /// Like [`of`](Self::of), for a copy: its retry settings come from an envelope, which contains
    /// the queue's settings too.
    ///
    /// # Errors
    /// As `of`.
    pub(super) fn of_copy(
        shared: &Shared,
        task: &NewTask,
        copied: Copied,
        now: Timestamp,
    ) -> Result<Self, Error> {
        let (id, queues) = (task.spec.id, shared.retries_of(&task.spec.queue));
        let own_retry = task.spec.retry.as_ref().filter(|retry| queues.as_ref() != Some(*retry));
        Self::called(
            shared,
            Called { id, name: of_copy(id, copied.number), own_retry, copied: Some(copied) },
            task,
            now,
        )
    }

    /// Creates the draft of a dead letter, as a task of `queue`. If it is sent, it goes to the same
    /// server as its task, which refuses it.
    ///
    /// # Errors
    /// None that occur for a task without a target of its own.
    pub(super) fn of_letter(
        shared: &Shared,
        queue: &QueueName,
        letter: &Letter,
    ) -> Result<Self, Error> {
        let spec = &letter.envelope.spec;
        let mark = Mark { call: spec.id, shape: spec.shape, kind: spec.kind.clone() };
        // The attributes may come from a newer version, so nothing is read from them.
        let mut headers = headers(shared, &Attributes::default(), &mark);
        let named = spec.name.as_ref().map_or_else(String::new, |name| format!("/{name}"));
        headers.insert(LETTER.to_owned(), format!("1{named}"));
        let path = format!("{}/{}", shared.prefix, spec.kind);
        let parts = Parts { path, headers, body: Bytes::from(letter.encode()) };
        let name = of_copy(spec.id, letter.number());
        let stored = Task::new()
            .set_name(shared.place.task(queue, &name))
            .set_message_type(shared.target.request(parts, None)?);
        let request =
            CreateTaskRequest::new().set_parent(shared.place.queue(queue)).set_task(stored);
        Ok(Self { id: spec.id, mark, request })
    }

    fn called(
        shared: &Shared,
        called: Called<'_>,
        task: &NewTask,
        now: Timestamp,
    ) -> Result<Self, Error> {
        let Called { id, name, own_retry, copied } = called;
        let attributes = Attributes::decode(task.spec.attributes.as_deref());
        let attributes = attributes.ok_or(Error::Unsupported {
            backend: NAME,
            what: "attributes that a newer version of gae-tasks wrote",
        })?;
        let mark =
            Mark { call: task.spec.id, shape: task.spec.shape, kind: task.spec.kind.clone() };
        let parts = Parts {
            path: format!("{}/{}", shared.prefix, task.spec.kind),
            headers: headers(shared, &attributes, &mark),
            body: Bytes::from(Envelope { copied, ..envelope(shared, task, now) }.encode()),
        };
        let stored = Task::new()
            .set_name(shared.place.task(&task.spec.queue, &name))
            .set_or_clear_schedule_time(schedule(task, now))
            .set_or_clear_dispatch_deadline(task.spec.deadline.map(|deadline| {
                let (least, most) = shared.target.deadlines();
                // The handler enforces the exact deadline, which is in the envelope.
                duration(deadline.clamp(least, most))
            }))
            .set_or_clear_retry_config(own_retry.map(unlimited))
            .set_message_type(shared.target.request(parts, attributes.target)?);
        let request = CreateTaskRequest::new()
            .set_parent(shared.place.queue(&task.spec.queue))
            .set_task(stored);
        Ok(Self { id, mark, request })
    }
}

/// A task whose id is older than this was stored elsewhere before.
const FRESH: Duration = Duration::from_secs(60 * 60);

/// Returns the start of the task's life at Google if it is not the moment when its id was made: a
/// task that a relay has kept for a while is forgotten by Google as late as any other.
fn life_from(id: TaskId, now: Timestamp) -> Option<Copied> {
    let is_older = id.made().is_some_and(|made| now.since(made) > FRESH);
    is_older.then(|| Copied { replayed: Some(now), ..Copied::default() })
}

/// Returns the schedule time for Google; `None` if the task is due, so that the clocks need not
/// agree.
fn schedule(task: &NewTask, now: Timestamp) -> Option<google_cloud_wkt::Timestamp> {
    let at = task.schedule.resolve(now);
    let micros = at.as_micros();
    let nanos = i32::try_from(micros.rem_euclid(1_000_000) * 1000).unwrap_or_default();
    (at > now).then(|| google_cloud_wkt::Timestamp::clamp(micros.div_euclid(1_000_000), nanos))
}

/// Creates the envelope. Its id is the call's own: a later task with the same name is a different
/// task, to its handler and as a dead letter.
fn envelope(shared: &Shared, task: &NewTask, now: Timestamp) -> Envelope {
    let NewTask { spec, payload, schema, sensitive, schedule, on_conflict: _ } = task.clone();
    let mut envelope = Envelope::new(spec, payload, schema, sensitive, schedule, now);
    envelope.spec.retry = envelope.spec.retry.or_else(|| shared.retries_of(&task.spec.queue));
    envelope
}

fn headers(shared: &Shared, attributes: &Attributes, mark: &Mark) -> HashMap<String, String> {
    let mut headers: HashMap<String, String> = HashMap::new();
    let own = [("Content-Type", "application/octet-stream".to_owned()), (MARK, mark.to_text())];
    let trace = attributes.traceparent.clone().map(|trace| ("traceparent", trace));
    let ours: Vec<_> = own.into_iter().chain(trace).collect();
    let given = shared.headers.iter().chain(&attributes.headers);
    // Attributes of an earlier version may have a header that is reserved now.
    let is_ours = |name: &str| {
        let mut own = ours.iter().map(|(own, _)| *own).chain([LETTER]);
        own.any(|own| own.eq_ignore_ascii_case(name))
    };
    for (name, value) in given.filter(|(name, _)| !is_ours(name)) {
        // The same header in another case would be a second header.
        headers.retain(|other, _| !other.eq_ignore_ascii_case(name));
        headers.insert(name.clone(), value.clone());
    }
    headers.extend(ours.into_iter().map(|(name, value)| (name.to_owned(), value)));
    headers
}

impl Mark {
    fn to_text(&self) -> String {
        format!("{}/{}/{}", self.call, self.shape, self.kind)
    }

    /// Reads the mark from the headers of a stored task, without its body; `None` if this crate did
    /// not store the task.
    pub(super) fn of_task(task: &Task) -> Option<Self> {
        Self::of(headers_of(task)?)
    }

    /// Returns the call that made a stored task of any version: the part after the id may change,
    /// the id does not.
    pub(super) fn call_of_task(task: &Task) -> Option<TaskId> {
        Self::text(headers_of(task)?)?.split('/').next()?.parse().ok()
    }

    fn text(headers: &HashMap<String, String>) -> Option<&str> {
        headers
            .iter()
            .find(|(name, _)| name.eq_ignore_ascii_case(MARK))
            .map(|(_, text)| text.as_str())
    }

    /// Reads the mark from these headers; `None` if this crate did not write them.
    fn of(headers: &HashMap<String, String>) -> Option<Self> {
        let (call, rest) = Self::text(headers)?.split_once('/')?;
        let (shape, kind) = rest.split_once('/')?;
        let shape = Shape::from_bits(u64::from_str_radix(shape, 16).ok()?);
        Some(Self { call: call.parse().ok()?, shape, kind: Kind::new(kind).ok()? })
    }
}

/// Whether a stored task is a dead letter.
pub(super) fn is_letter(task: &Task) -> bool {
    letter_text(task).is_some()
}

/// Whether a stored task is the dead letter of a task that had this name.
pub(super) fn is_letter_of(task: &Task, name: &TaskName) -> bool {
    let text = letter_text(task).and_then(|text| text.split_once('/'));
    text.is_some_and(|(_, named)| named == name.as_str())
}

fn letter_text(task: &Task) -> Option<&str> {
    let mut headers = headers_of(task)?.iter();
    headers.find(|(name, _)| name.eq_ignore_ascii_case(LETTER)).map(|(_, text)| text.as_str())
}

fn headers_of(task: &Task) -> Option<&HashMap<String, String>> {
    match task.message_type.as_ref()? {
        MessageType::AppEngineHttpRequest(request) => Some(&request.headers),
        MessageType::HttpRequest(request) => Some(&request.headers),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::task::TaskSpec;

    #[test]
    fn a_mark_is_read_back_whatever_case_its_header_has() {
        let mark = Mark {
            call: TaskId::from_bytes([7; 16]),
            shape: Shape::from_bits(0xbeef),
            kind: Kind::from_static("shop.emails/send"),
        };
        for name in [MARK, "x-deferred-task"] {
            let headers = HashMap::from([(name.to_owned(), mark.to_text())]);
            assert_eq!(Mark::of(&headers), Some(mark.clone()));
        }
        for text in ["", "/", "a/b/c", "07070707-0707-0707-0707-070707070707/zz/a"] {
            assert_eq!(
                Mark::of(&HashMap::from([(MARK.to_owned(), text.to_owned())])),
                None,
                "{text}"
            );
        }
    }

    async fn draft(
        builder: super::super::CloudTasksBuilder,
        attributes: &Attributes,
    ) -> Result<Task, Error> {
        let backend = builder.endpoint("http://127.0.0.1:9").anonymous().build().await.unwrap();
        let (id, kind, queue) =
            (TaskId::generate(), Kind::from_static("shop.emails/send"), QueueName::DEFAULT);
        let spec = TaskSpec::new(id, kind, Shape::from_bits(1), queue);
        let task =
            NewTask::new(TaskSpec { attributes: attributes.encode(), ..spec }, Vec::new(), []);
        let now = Timestamp::from_micros(1_800_000_000_000_000);
        Ok(Draft::of(&backend.shared, &task, now)?.request.task.unwrap())
    }

    fn http() -> super::super::CloudTasksBuilder {
        super::super::CloudTasks::builder("shop", "europe-west1").http("https://w.run.app")
    }

    /// The headers and the target of these attributes cannot be read, and need not be.
    #[tokio::test]
    async fn a_task_with_attributes_of_a_newer_version_can_be_a_dead_letter() {
        let backend = http().endpoint("http://127.0.0.1:9").anonymous().build().await.unwrap();
        let (id, kind) = (TaskId::from_bytes([7; 16]), Kind::from_static("shop.emails/send"));
        let attributes = Some(vec![9, 1]);
        let spec = TaskSpec {
            attributes,
            ..TaskSpec::new(id, kind, Shape::from_bits(1), QueueName::DEFAULT)
        };
        let now = Timestamp::from_micros(1);
        assert!(
            Draft::of(&backend.shared, &NewTask::new(spec.clone(), Vec::new(), []), now).is_err()
        );
        let envelope = Envelope {
            spec,
            named: false,
            first_due: now,
            copied: None,
            payload: Vec::new(),
            schema: Arc::default(),
            sensitive: Default::default(),
        };
        let letter =
            Letter { envelope, attempts: 0, first_attempt: None, died: now, error: String::new() };
        let queue = QueueName::new("default-dead").unwrap();
        let task =
            Draft::of_letter(&backend.shared, &queue, &letter).unwrap().request.task.unwrap();
        assert!(is_letter(&task));
        let Some(MessageType::HttpRequest(request)) = task.message_type else { panic!("{task:?}") };
        assert_eq!(Letter::decode(&request.body), Ok(letter));
    }

    #[tokio::test]
    async fn the_trace_and_the_headers_of_a_task_are_headers_of_its_request() {
        let trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        let header = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let attributes = Attributes {
            traceparent: Some(trace.to_owned()),
            headers: vec![
                header("X-Shop", "own"),
                header("content-type", "text/html"),
                header("TRACEPARENT", "no"),
                header("x-deferred-letter", "1"),
            ],
            ..Attributes::default()
        };
        let task =
            draft(http().header("x-shop", "all").header("x-all", "1"), &attributes).await.unwrap();
        let Some(MessageType::HttpRequest(request)) = task.message_type else { panic!("{task:?}") };
        let mut headers: Vec<_> =
            request.headers.into_iter().filter(|(name, _)| name != MARK).collect();
        headers.sort();
        let expected = [
            ("Content-Type", "application/octet-stream"),
            ("X-Shop", "own"),
            ("traceparent", trace),
            ("x-all", "1"),
        ];
        assert_eq!(headers, expected.map(|(name, value)| header(name, value)));
    }

    #[tokio::test]
    async fn a_task_may_choose_its_service_on_app_engine_only() {
        let target = crate::attributes::Target { service: "reports".to_owned(), version: None };
        let attributes = Attributes { target: Some(target), ..Attributes::default() };
        let app = super::super::CloudTasks::builder("shop", "europe-west1")
            .app_engine()
            .deferring_from("default", "v7");
        let task = draft(app, &attributes).await.unwrap();
        let Some(MessageType::AppEngineHttpRequest(request)) = task.message_type else {
            panic!("{task:?}")
        };
        let routing = request.app_engine_routing.unwrap();
        assert_eq!((routing.service.as_str(), routing.version.as_str()), ("reports", ""));
        let error = draft(http(), &attributes).await.unwrap_err();
        assert!(matches!(error, Error::Unsupported { .. }), "{error}");
    }
}
