//! Builds a push service.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use super::Client;
use crate::backend::Backend;
use crate::error::{Error, no_problems};
use crate::log;
use crate::outcome::BoxError;
use crate::push::verify::{AnyOf, Verify};
use crate::push::{
    Capacity, DeadLetter, LetterStore, PushService, Refusals, ServiceSettings, Sink,
};
use crate::queue::{QueueConfig, RetryConfig};
use crate::task::URL_PREFIX;

/// The number of concurrent requests unless [`PushServiceBuilder::concurrency`] sets another: the
/// most that Cloud Run allows for an instance.
const DEFAULT_CONCURRENCY: usize = 1000;

/// Cloud Tasks stores tasks of up to 1 MiB; the rest is reserve for a higher limit.
const DEFAULT_MAX_BODY: usize = 2 * 1024 * 1024;

/// The most memory for bodies and stored payloads of all attempts: small instances of Cloud Run
/// have 512 MiB.
const DEFAULT_MEMORY_BUDGET: usize = 64 * 1024 * 1024;

/// The most time in which a body must arrive.
const BODY_TIME: Duration = Duration::from_secs(30);

/// How long a task may wait for an instance that can run it.
const DEFAULT_GIVE_UP: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// Builds a [`PushService`]: its verifiers, the place for dead letters, and its limits.
#[must_use = "a builder does nothing until `build`"]
#[derive(Debug)]
pub struct PushServiceBuilder {
    client: Client,
    verifiers: AnyOf,
    /// `Err` is the reason why there is no valid sink.
    sink: Option<Result<Sink, String>>,
    prefix: String,
    is_nested: bool,
    concurrency: usize,
    memory_budget: usize,
    max_body: usize,
    /// The client's own limit if `None`.
    max_stored_payload: Option<u64>,
    body_time: Duration,
    give_up: Duration,
}

#[cfg_attr(docsrs, doc(cfg(feature = "push")))]
impl Client {
    /// Returns a builder for the service that runs tasks which a queue sends over HTTP; handlers
    /// defer with this client.
    pub fn push_service(&self) -> PushServiceBuilder {
        PushServiceBuilder {
            client: self.clone(),
            verifiers: AnyOf::new(),
            sink: None,
            prefix: URL_PREFIX.to_owned(),
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
    /// Adds a verifier. A request that one of the verifiers accepts comes from the queue.
    pub fn verify(mut self, verifier: impl Verify) -> Self {
        self.verifiers = self.verifiers.or(verifier);
        self
    }

    /// Sets the URL path before a task's kind; `/_cb/deferred` by default. Give the queue's backend
    /// the same prefix.
    pub fn prefix(mut self, prefix: impl Into<String>) -> Self {
        self.prefix = prefix.into();
        self
    }

    /// Declares that the router strips the prefix from request paths, as axum's `nest_service`
    /// does: every path `/{kind}` is a task's. By default only paths under the
    /// [prefix](Self::prefix) are.
    pub fn nested(mut self) -> Self {
        self.is_nested = true;
        self
    }

    /// Sets how many requests may be in progress at the same time; 1,000 by default. Further
    /// requests are answered with 503, which slows the queue down. Zero is refused by
    /// [`build`](Self::build).
    pub fn concurrency(mut self, requests: usize) -> Self {
        self.concurrency = requests;
        self
    }

    /// Sets the most bytes of tasks in memory at the same time; 64 MiB by default. Encoded bodies
    /// and stored payloads count from before they are read until their attempt ends; decoded values
    /// do not count. Requests beyond the budget are answered with 503, which slows the queue down.
    ///
    /// An attempt that is larger than the budget runs while there is no other. A task that was
    /// refused for its size and is delivered again waits for room, for at most half of its
    /// deadline; later requests are refused meanwhile. Where other attempts steadily take longer
    /// than that, the task may be refused each time: choose a budget above the largest payload, or
    /// a longer deadline for its task.
    pub fn memory_budget(mut self, bytes: usize) -> Self {
        self.memory_budget = bytes;
        self
    }

    /// Sets the most bytes of a payload in the client's payload store; by default the client's own
    /// limit for deferring (64 MiB unless set). A task with a larger payload becomes a dead letter
    /// whose error says so.
    pub fn max_stored_payload(mut self, bytes: u64) -> Self {
        self.max_stored_payload = Some(bytes);
        self
    }

    /// Sets the most bytes of a body; 2 MiB by default.
    pub fn max_body(mut self, bytes: usize) -> Self {
        self.max_body = bytes;
        self
    }

    /// Sets the time in which a body must arrive; 30 seconds by default.
    pub fn body_within(mut self, time: Duration) -> Self {
        self.body_time = time;
        self
    }

    /// Sets how long after a task was first due it becomes a dead letter if it cannot be run here
    /// (unknown kind, other parameters, newer version of gae-tasks, a payload that cannot be read);
    /// 7 days by default. Until then the queue retries the task.
    pub fn give_up_unroutable_after(mut self, age: Duration) -> Self {
        self.give_up = age;
        self
    }

    /// Keeps dead letters in the storage of `client`, where they can be inspected and replayed:
    /// SQLite, on a disk that outlives the instance; or Cloud Tasks itself, with
    /// `dead_letters=queues` in the URL (see `CloudTasksBuilder::dead_letter_queues`), where
    /// `client` may be the service's own client.
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
                "the backend `{backend}` keeps no dead letters: add `dead_letters=queues` to the \
                 URL of Cloud Tasks, or give `.dead_letters(..)` a client with storage, such as \
                 `sqlite:FILE`"
            ))
        });
        self
    }

    /// Keeps dead letters in a payload store, such as a bucket: each until it is
    /// [replayed](LetterStore::replay) or [deleted](LetterStore::delete).
    pub fn dead_letters_in(mut self, letters: &LetterStore) -> Self {
        self.sink = Some(Ok(Sink::Letters(letters.clone())));
        self
    }

    /// Passes dead letters to a function. When the function has succeeded, the queue deletes the
    /// task; if it fails, or takes longer than 30 seconds, the task stays in the queue and is
    /// delivered again.
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

    /// Builds the service.
    ///
    /// If dead letters are kept at Google, this method asks for their queues, unless this process
    /// has created them, and blocks the thread until the answer arrives: at most for the backend's
    /// time limit.
    ///
    /// Inside a tokio runtime, the method also asks a push backend for its queues, and warns of
    /// queues with limits of their own: these end a task without a dead letter.
    ///
    /// # Errors
    /// [`Error::Misconfigured`] with every problem: tasks that cannot be run, no verifier, a
    /// verifier that must not be combined with others, no place for dead letters, a missing queue
    /// for dead letters, a concurrency of zero.
    pub fn build(self) -> Result<PushService, Error> {
        let problems = self.problems();
        #[cfg(feature = "cron")]
        let (problems, declaration) = {
            let mut problems = problems;
            let declaration = self.client.declaration(&mut problems);
            (problems, declaration)
        };
        no_problems(problems)?;
        let sink = self.sink.and_then(Result::ok).unwrap_or(Sink::Log);
        let client = self.client;
        let max_stored_payload = self.max_stored_payload.unwrap_or(client.max_payload() as u64);
        #[cfg(feature = "cron")]
        tell_of_schedules(&client, declaration.schedules.len());
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
            #[cfg(feature = "cron")]
            declaration,
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
                "the push service has `.concurrency(0)` and would refuse every request: use 1 or \
                 more"
                    .to_owned(),
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
                "`{prefix}` is not a valid URL prefix: use segments of letters, digits, `.`, `_`, \
                 `-` and `~`, each after a `/`"
            ));
        }
        problems
    }
}

const NO_VERIFIER: &str = "nothing proves who sends tasks, so anybody could send them: add \
                           `.verify(..)` to the push service, with `push::verify::Oidc` (HTTP \
                           targets), `AppEngine` (on App Engine), `PlatformAuthenticated` (Cloud \
                           Run with IAM), `SharedSecret` (queues of your own), or an own `Verify`";

const NO_SINK: &str = "nothing keeps dead letters, so tasks that failed for good would be lost: \
                       add `.dead_letters(&client)` (a client with storage, or Cloud Tasks \
                       itself), `.dead_letters_in(&letters)` (a bucket), `.dead_letters_to(async \
                       fn)`, or `.log_dead_letters()` to only log them";

fn is_path(prefix: &str) -> bool {
    let allowed =
        |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-' | b'~');
    let mut segments = prefix.split('/');
    segments.next() == Some("")
        && segments.all(|segment| !segment.is_empty() && segment.bytes().all(allowed))
}

/// Why `backend` cannot keep the dead letters of the client's tasks; problems that may occur later
/// are logged.
fn check_dead_letters(backend: &dyn Backend, client: &Client) -> Vec<String> {
    let registrations = client.registry().registrations();
    let queues: BTreeSet<_> =
        registrations.iter().flat_map(|registration| client.queues_of(registration)).collect();
    match pollster::block_on(backend.check_dead_letters(queues.into_iter().collect())) {
        Ok(check) => {
            check.warnings.iter().for_each(|warning| log::say(|| tracing::warn!("{warning}")));
            check.problems
        }
        // The permission may be missing. A dead letter that cannot be stored stays in its queue.
        Err(error) => {
            log::say(|| {
                let error = crate::outcome::chain(&error);
                tracing::warn!(error, "cannot check whether dead letters can be kept");
            });
            Vec::new()
        }
    }
}

/// Says that no worker ticks the schedules of a program whose queue calls it.
#[cfg(feature = "cron")]
fn tell_of_schedules(client: &Client, schedules: usize) {
    if schedules > 0 && !client.capabilities().schedules {
        log::say(|| {
            tracing::info!(
                schedules,
                "the schedules of this program tick only if Cloud Scheduler calls this service: \
                 `client.cloud_scheduler_jobs(..)` prints its jobs"
            );
        });
    }
}

/// Warns of queues with limits of their own, which end a task whether or not its dead letter is
/// stored.
async fn warn_of_limits(backend: &dyn Backend) {
    match backend.queues().await {
        Ok(queues) => queues.iter().filter(|queue| queue.forgets_tasks()).for_each(|queue| {
            let retries = queue.config.as_ref().map(QueueConfig::retry);
            log::say(|| {
                tracing::warn!(
                    queue = queue.name.as_str(),
                    max_attempts = retries.and_then(RetryConfig::max_attempts),
                    max_retry_duration = ?retries.and_then(RetryConfig::max_retry_duration),
                    "the queue has limits of its own: a task that reaches them is lost without a \
                     dead letter. Give the queue unlimited attempts, as `put_queue` does: \
                     gae-tasks keeps the limits itself"
                );
            });
        }),
        // The permission may be missing; nothing depends on the answer.
        Err(error) => log::say(|| {
            tracing::debug!(
                error = crate::outcome::chain(&error),
                "the queues' limits cannot be read"
            );
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
