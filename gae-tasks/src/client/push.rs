//! How a push service is put together.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use super::Client;
use crate::backend::Backend;
use crate::envelope::PREFIX;
use crate::error::{Error, no_problems};
use crate::log;
use crate::outcome::BoxError;
use crate::push::verify::{AnyOf, Verify};
use crate::push::{
    Capacity, DeadLetter, LetterStore, PushService, Refusals, ServiceSettings, Sink,
};
use crate::queue::{QueueConfig, RetryConfig};

/// How many requests are under way at the same time unless [`PushServiceBuilder::concurrency`] says otherwise: what
/// Cloud Run lets an instance have at most.
const DEFAULT_CONCURRENCY: usize = 1000;

/// Cloud Tasks stores tasks of up to 1 MiB; there is room for what a later limit adds.
const DEFAULT_MAX_BODY: usize = 2 * 1024 * 1024;

/// What bodies and stored payloads of attempts may take of memory together: small instances of Cloud Run have 512 MiB.
const DEFAULT_MEMORY_BUDGET: usize = 64 * 1024 * 1024;

/// How long a body may take to arrive.
const BODY_TIME: Duration = Duration::from_secs(30);

/// How long a task may wait for an instance that can run it.
const DEFAULT_GIVE_UP: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// Puts a [`PushService`] together: who is believed, what keeps dead letters, and its limits.
#[must_use = "a builder does nothing until `build`"]
#[derive(Debug)]
pub struct PushServiceBuilder {
    client: Client,
    verifiers: AnyOf,
    /// Or why it is none.
    sink: Option<Result<Sink, String>>,
    prefix: String,
    is_nested: bool,
    concurrency: usize,
    memory_budget: usize,
    max_body: usize,
    /// The client's own, if none.
    max_stored_payload: Option<u64>,
    body_time: Duration,
    give_up: Duration,
}

#[cfg_attr(docsrs, doc(cfg(feature = "push")))]
impl Client {
    /// A service for the tasks that a queue sends over HTTP; handlers defer with this client.
    pub fn push_service(&self) -> PushServiceBuilder {
        PushServiceBuilder {
            client: self.clone(),
            verifiers: AnyOf::new(),
            sink: None,
            prefix: PREFIX.to_owned(),
            is_nested: false,
            concurrency: DEFAULT_CONCURRENCY,
            memory_budget: DEFAULT_MEMORY_BUDGET,
            max_body: DEFAULT_MAX_BODY,
            max_stored_payload: None,
            body_time: BODY_TIME,
            give_up: DEFAULT_GIVE_UP,
        }
    }
}

impl PushServiceBuilder {
    /// Believes what `verifier` proves to come from the queue; of several, any one suffices.
    pub fn verify(mut self, verifier: impl Verify) -> Self {
        self.verifiers = self.verifiers.or(verifier);
        self
    }

    /// The URL path before a task's kind; `/_cb/deferred` by default. Give the queue's backend the same one.
    pub fn prefix(mut self, prefix: impl Into<String>) -> Self {
        self.prefix = prefix.into();
        self
    }

    /// The router strips the prefix from the paths that it hands over, as axum's `nest_service` does: every path
    /// `/{kind}` is a task's. Without this, only paths under the [prefix](Self::prefix) are.
    pub fn nested(mut self) -> Self {
        self.is_nested = true;
        self
    }

    /// How many requests may be under way at the same time; 1,000 by default. More are answered with 503, which slows the
    /// queue down. Zero is refused by [`build`](Self::build).
    pub fn concurrency(mut self, requests: usize) -> Self {
        self.concurrency = requests;
        self
    }

    /// The most bytes of tasks in memory at the same time; 64 MiB by default. Bodies and stored payloads count, as they
    /// are encoded, from before they are read until their attempt ends; the values that handlers make of them do not.
    /// What exceeds the budget is answered with 503, which slows the queue down.
    ///
    /// An attempt that is larger than the budget runs while there is no other one. A task that was refused so, and comes
    /// again, waits until there is room for it, for at most half of its deadline; what comes later is refused meanwhile.
    /// Where other attempts steadily take longer than that, it may be refused each time: choose a budget above the
    /// largest payload, or a longer deadline for its task.
    pub fn memory_budget(mut self, bytes: usize) -> Self {
        self.memory_budget = bytes;
        self
    }

    /// The most bytes of a payload in the client's payload store; by default what the client itself defers at most
    /// (64 MiB unless set). A task with a larger one becomes a dead letter that says so.
    pub fn max_stored_payload(mut self, bytes: u64) -> Self {
        self.max_stored_payload = Some(bytes);
        self
    }

    /// The most bytes of a body; 2 MiB by default.
    pub fn max_body(mut self, bytes: usize) -> Self {
        self.max_body = bytes;
        self
    }

    /// How long a body may take to arrive; 30 seconds by default.
    pub fn body_within(mut self, time: Duration) -> Self {
        self.body_time = time;
        self
    }

    /// How long after a task was first due it becomes a dead letter if nothing here can run it (unknown kind, other
    /// parameters, newer version of gae-tasks, a payload that cannot be read); 7 days by default. Until then the queue
    /// tries it again.
    pub fn give_up_unroutable_after(mut self, age: Duration) -> Self {
        self.give_up = age;
        self
    }

    /// Keeps dead letters in the storage of `client`, where they can be looked at and replayed: SQLite, on a disk that
    /// outlives the instance; or Cloud Tasks itself, with `dead_letters=queues` in the URL (see
    /// `CloudTasksBuilder::dead_letter_queues`), where this may be the service's own client.
    pub fn dead_letters(mut self, client: &Client) -> Self {
        let backend = client.capabilities().backend;
        self.sink = Some(if client.capabilities().dead_letters {
            Ok(Sink::Backend(
                client.shared_backend(),
                Arc::clone(client.clock()),
                client.stated_retention(),
            ))
        } else {
            Err(format!(
                "the backend `{backend}` keeps no dead letters: add `dead_letters=queues` to the URL of Cloud Tasks, or \
                 give `.dead_letters(..)` a client with storage, such as `sqlite:FILE`"
            ))
        });
        self
    }

    /// Keeps dead letters in a payload store, such as a bucket: each until it is [replayed](LetterStore::replay) or
    /// [deleted](LetterStore::delete).
    pub fn dead_letters_in(mut self, letters: &LetterStore) -> Self {
        self.sink = Some(Ok(Sink::Letters(letters.clone())));
        self
    }

    /// Hands dead letters to a function. The queue forgets the task once it has succeeded; if it fails, or takes longer
    /// than 30 seconds, the task stays in the queue and comes again.
    pub fn dead_letters_to<F, R, E>(mut self, keep: F) -> Self
    where
        F: Fn(DeadLetter) -> R + Send + Sync + 'static,
        R: Future<Output = Result<(), E>> + Send + 'static,
        E: Into<BoxError>,
    {
        self.sink = Some(Ok(Sink::Function(Arc::new(move |letter| {
            let kept = keep(letter);
            Box::pin(async move { kept.await.map_err(Into::into) })
        }))));
        self
    }

    /// Keeps no dead letters: they are logged as errors, and lost.
    pub fn log_dead_letters(mut self) -> Self {
        self.sink = Some(Ok(Sink::Log));
        self
    }

    /// The service.
    ///
    /// Where dead letters are kept at Google, this asks for their queues, unless this process has made them, and blocks the
    /// thread until the answer is there: for the backend's time limit at most.
    ///
    /// Inside a tokio runtime, it also asks a backend that pushes for its queues, and warns of those with limits of
    /// their own: these end a task without a dead letter.
    ///
    /// # Errors
    /// [`Error::Misconfigured`] with every problem named: tasks that cannot be run, nobody to prove who calls, a verifier
    /// that must not stand beside others, nothing to keep dead letters, a queue of dead letters that is missing, no
    /// request at the same time.
    pub fn build(self) -> Result<PushService, Error> {
        no_problems(self.problems())?;
        let sink = self.sink.and_then(Result::ok).unwrap_or(Sink::Log);
        let client = self.client;
        let max_stored_payload = self.max_stored_payload.unwrap_or(client.max_payload() as u64);
        let service = PushService::new(ServiceSettings {
            registry: Arc::clone(client.shared_registry()),
            dispatcher: client.dispatcher().with_max_stored_payload(max_stored_payload),
            clock: Arc::clone(client.clock()),
            verifiers: self.verifiers,
            sink,
            queue: client.shared_backend(),
            prefix: self.prefix.trim_end_matches('/').to_owned(),
            is_nested: self.is_nested,
            capacity: Capacity::new(self.concurrency, self.memory_budget),
            max_body: self.max_body,
            max_stored_payload,
            body_time: self.body_time,
            give_up: self.give_up,
            refusals: Refusals::default(),
            has_warned: AtomicBool::new(false),
        });
        if !client.capabilities().pull
            && let Ok(runtime) = tokio::runtime::Handle::try_current()
        {
            runtime.spawn(async move { warn_of_limits(client.backend()).await });
        }
        Ok(service)
    }

    /// Every reason why the service must not be built.
    fn problems(&self) -> Vec<String> {
        let mut problems = self.client.problems();
        if self.verifiers.is_empty() {
            problems.push(NO_VERIFIER.to_owned());
        }
        if self.concurrency == 0 {
            problems.push(
                "the push service has `.concurrency(0)` and would refuse every request: choose 1 or more".to_owned(),
            );
        }
        problems.extend(self.verifiers.problem(true));
        match &self.sink {
            None => problems.push(NO_SINK.to_owned()),
            Some(Err(problem)) => problems.push(problem.clone()),
            Some(Ok(Sink::Backend(backend, ..))) => {
                problems.extend(check_dead_letters(&**backend, &self.client));
            }
            Some(Ok(_)) => {}
        }
        let prefix = self.prefix.trim_end_matches('/');
        if !is_path(prefix) {
            problems.push(format!(
                "`{prefix}` is no prefix of URLs: use segments of letters, digits, `.`, `_`, `-` and `~`, each after a `/`"
            ));
        }
        problems
    }
}

const NO_VERIFIER: &str = "nobody proves who sends tasks, so anybody could: add `.verify(..)` to the push service, with \
                           `push::verify::Oidc` (HTTP targets), `AppEngine` (on App Engine), `PlatformAuthenticated` \
                           (Cloud Run with IAM), `SharedSecret` (queues of your own), or an own `Verify`";

const NO_SINK: &str = "nothing keeps dead letters, so the queue would forget tasks that failed for good: add \
                       `.dead_letters(&client)` (a client with storage, or Cloud Tasks itself), \
                       `.dead_letters_in(&letters)` (a bucket), `.dead_letters_to(async fn)`, or \
                       `.log_dead_letters()` to lose them with a line in the log";

fn is_path(prefix: &str) -> bool {
    let allowed =
        |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-' | b'~');
    let mut segments = prefix.split('/');
    segments.next() == Some("")
        && segments.all(|segment| !segment.is_empty() && segment.bytes().all(allowed))
}

/// Why `backend` cannot keep the dead letters of the client's tasks; what may go wrong later is logged.
fn check_dead_letters(backend: &dyn Backend, client: &Client) -> Vec<String> {
    let registrations = client.registry().registrations();
    let queues: BTreeSet<_> =
        registrations.iter().flat_map(|registration| client.queues_of(registration)).collect();
    match pollster::block_on(backend.check_dead_letters(queues.into_iter().collect())) {
        Ok(check) => {
            check.warnings.iter().for_each(|warning| log::say(|| tracing::warn!("{warning}")));
            check.problems
        }
        // It may lack the permission. A dead letter that cannot be kept stays in its queue.
        Err(error) => {
            log::say(|| {
                let error = crate::outcome::chain(&error);
                tracing::warn!(error, "it is not known whether dead letters can be kept");
            });
            Vec::new()
        }
    }
}

/// A queue's own limits end a task whether or not a handler has recorded the dead letter.
async fn warn_of_limits(backend: &dyn Backend) {
    match backend.queues().await {
        Ok(queues) => queues.iter().filter(|queue| queue.forgets_tasks()).for_each(|queue| {
            let retries = queue.config.as_ref().map(QueueConfig::retry);
            log::say(|| {
                tracing::warn!(
                    queue = queue.name.as_str(),
                    max_attempts = retries.and_then(RetryConfig::max_attempts),
                    max_retry_duration = ?retries.and_then(RetryConfig::max_retry_duration),
                    "the queue has limits of its own: a task that reaches them is lost without a dead letter. Give it \
                     unlimited attempts, as `put_queue` does: gae-tasks keeps the limits itself"
                );
            });
        }),
        // It may lack the permission; nothing depends on the answer.
        Err(error) => log::say(|| {
            tracing::debug!(error = crate::outcome::chain(&error), "the queues' limits cannot be read");
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_is_a_path_that_needs_no_escapes() {
        for good in ["", "/a", "/_cb/deferred", "/a.b/~c-d"] {
            assert!(is_path(good), "{good}");
        }
        for bad in ["a", "/a//b", "//", "/a b", "/{kind}", "/a?b", "/ä", "http://a"] {
            assert!(!is_path(bad), "{bad}");
        }
    }
}
