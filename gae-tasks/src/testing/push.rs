//! Builds the request of a push queue.

use bytes::Bytes;
use http::Request;

use crate::backend::NewTask;
use crate::client::Client;
use crate::defer::Defer;
use crate::envelope::Envelope;
use crate::error::Error;
use crate::task::URL_PREFIX;

#[cfg_attr(docsrs, doc(cfg(all(feature = "testing", feature = "push"))))]
impl Client {
    /// Returns the HTTP request by which a push queue sends `task` as attempt number `attempt`,
    /// counted from 1, for tests of how a [`PushService`](crate::push::PushService) is mounted.
    /// Nothing is stored.
    ///
    /// The request has the path `/_cb/deferred/{kind}` and Cloud Tasks' headers, but no proof of
    /// its origin.
    ///
    /// # Errors
    /// The task's args or options are refused, as by `defer`.
    pub fn push_request(&self, task: Defer, attempt: u32) -> Result<Request<Bytes>, Error> {
        let task = task.prepare(self)?.task;
        let now = self.clock().wall();
        let due = task.schedule.resolve(now);
        let name =
            task.spec.name.as_ref().map_or_else(|| task.spec.id.to_string(), ToString::to_string);
        let uri = format!("{URL_PREFIX}/{}", task.spec.kind);
        let (micros, queue) = (due.as_micros(), task.spec.queue.to_string());
        let NewTask { spec, payload, schema, sensitive, schedule, on_conflict: _ } = task;
        let envelope = Envelope::new(spec, payload, schema, sensitive, schedule, now);
        let request = Request::post(uri)
            .header("content-type", "application/octet-stream")
            .header("user-agent", "Google-Cloud-Tasks")
            .header("x-cloudtasks-queuename", queue)
            .header("x-cloudtasks-taskname", name)
            .header("x-cloudtasks-taskretrycount", attempt.saturating_sub(1))
            .header(
                "x-cloudtasks-tasketa",
                format!("{}.{:06}", micros / 1_000_000, micros.rem_euclid(1_000_000)),
            )
            .body(Bytes::from(envelope.encode()));
        let backend = self.capabilities().backend;
        // Kinds, names and queues contain only characters that are valid in URLs and headers.
        request.map_err(|error| Error::Storage {
            backend,
            problem: "cannot build a request".to_owned(),
            source: error.into(),
        })
    }
}
