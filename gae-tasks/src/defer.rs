//! A call that is to run later: what `send_welcome::defer(..)` gives.

mod options;
mod prepare;

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use self::options::Options;
pub(crate) use self::prepare::Prepared;
use crate::attributes::Target;
use crate::backend::BoxFuture;
use crate::client::Client;
use crate::error::Error;
use crate::outcome::Outcome;
use crate::payload::UnreadableError;
use crate::queue::{QueueName, RetryConfig};
use crate::registration::Registration;
use crate::task::{Deferred, Redacted, TaskId, TaskName};
use crate::task_type::{Args, Task, encode_readable};
use crate::time::{Schedule, Timestamp};

/// A call that is to run later; `.await` stores it and gives a [`Deferred`]. The guide:
/// [deferring](crate::guide::deferring).
///
/// After the `.await` has returned `Ok`, the task survives a crash. Dropping the future before
/// leaves it unknown whether the task is stored: give it a [name](Self::named) where that matters.
///
/// # Errors
/// The `.await` fails, and stores nothing, if no client is known ([`Error::NoClient`]), an option
/// is out of range, the args cannot be stored ([`Error::Unreadable`], [`Error::PayloadTooLarge`]),
/// or the storage fails ([`Error::Storage`]).
///
/// ```
/// # use gae_tasks::{Client, deferred};
/// use std::time::Duration;
///
/// #[deferred(queue = "emails")]
/// async fn send_welcome(user_id: u64, template: String) {}
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), gae_tasks::Error> {
/// let tasks = Client::open("memory:").await?;
/// let answer = send_welcome::defer(42, "hello").after(Duration::from_secs(60)).named("welcome-42").on(&tasks).await?;
/// assert!(answer.created);
/// # Ok(())
/// # }
/// ```
#[must_use = "a task is deferred when this is awaited (or `.wait()`ed for)"]
pub struct Defer {
    registration: &'static Registration,
    payload: Result<Vec<u8>, UnreadableError>,
    client: Option<Client>,
    schedule: Schedule,
    name: Option<String>,
    queues: Option<Vec<String>>,
    must_be_new: bool,
    max_attempts: Option<u32>,
    deadline: Option<Duration>,
    /// In a box of their own, as few have them.
    options: Option<Box<Options>>,
}

impl Defer {
    /// A call with these args: what `args.defer()` gives, for code that is generic over the task.
    ///
    /// ```
    /// use gae_tasks::{Client, Defer, Task, deferred};
    ///
    /// /// Defers a call of whatever task, to run at night.
    /// pub fn later<T: Task>(args: T::Args) -> Defer {
    ///     Defer::new(&args).queue("night")
    /// }
    ///
    /// #[deferred]
    /// async fn clean_up(days: u16) {}
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), gae_tasks::Error> {
    /// let tasks = Client::open("memory:").await?;
    /// later::<clean_up>(CleanUpArgs { days: 30 }).on(&tasks).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn new<A: Args>(args: &A) -> Self {
        Self {
            registration: A::Task::registration(),
            payload: encode_readable(args),
            client: None,
            schedule: Schedule::Now,
            name: None,
            queues: None,
            must_be_new: false,
            max_attempts: None,
            deadline: None,
            options: None,
        }
    }

    /// Runs it `delay` from now at the earliest.
    #[doc(alias = "countdown")]
    pub fn after(mut self, delay: Duration) -> Self {
        self.schedule = Schedule::After(delay);
        self
    }

    /// Runs it at `time` at the earliest; at once, if that has passed. Takes a `SystemTime` too.
    #[doc(alias = "eta")]
    pub fn at(mut self, time: impl Into<Timestamp>) -> Self {
        self.schedule = Schedule::At(time.into());
        self
    }

    /// Gives it a name, `[A-Za-z0-9_-]{1,500}`: a task of that name that is in the queue, or
    /// recently was, is not deferred again.
    pub fn named(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Puts it into this queue, in place of those the attribute names.
    ///
    /// A worker serves the queues that attributes name, unless it is told others:
    /// [`Worker::queues`](crate::Worker::queues) must name this one somewhere.
    pub fn queue(self, queue: impl Into<String>) -> Self {
        self.spread([queue])
    }

    /// Puts it into one of these queues: the one its name hashes to, or a random one.
    pub fn spread<Q: Into<String>>(mut self, queues: impl IntoIterator<Item = Q>) -> Self {
        self.queues = Some(queues.into_iter().map(Into::into).collect());
        self
    }

    /// Makes a name in use an error, [`Error::NameTaken`], in place of an answer with `created:
    /// false`.
    pub fn must_be_new(mut self) -> Self {
        self.must_be_new = true;
        self
    }

    /// Caps its attempts, the first one included, below those of its queue; zero is refused.
    pub fn max_attempts(mut self, attempts: u32) -> Self {
        self.max_attempts = Some(attempts);
        self
    }

    /// The time one attempt may take, in place of the attribute's.
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = Some(deadline);
        self
    }

    /// How it is retried, in place of how its queue's tasks are.
    pub fn retry(mut self, retry: RetryConfig) -> Self {
        self.options().retry = Some(retry);
        self
    }

    /// Sends it to this service of the platform, in place of the one the backend names: only to
    /// backends that have [`targets`](crate::Capabilities::targets). 1 to 63 small letters, digits
    /// or, inside, hyphens.
    pub fn target(mut self, service: impl Into<String>) -> Self {
        self.options().target = Some(Target { service: service.into(), version: None });
        self
    }

    /// As [`target`](Self::target), to this version of the service, whichever has its traffic.
    pub fn target_version(
        mut self,
        service: impl Into<String>,
        version: impl Into<String>,
    ) -> Self {
        self.options().target =
            Some(Target { service: service.into(), version: Some(version.into()) });
        self
    }

    /// Adds a header to its requests: only with backends that have
    /// [`headers`](crate::Capabilities::headers). One of the same name is replaced.
    ///
    /// Refused are `Host`, `Content-Length` and others that the queue or this crate sets, and names
    /// that begin with `X-CloudTasks-`, `X-AppEngine-` or `X-Google-`. The value is of visible
    /// ASCII characters with spaces and tabs between them. The queue stores it: it is no place for
    /// secrets.
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.options().header(name.into(), value.into());
        self
    }

    fn options(&mut self) -> &mut Options {
        self.options.get_or_insert_default()
    }

    /// Defers it with this client, whatever client the surrounding code has.
    pub fn on(mut self, client: &Client) -> Self {
        self.client = Some(client.clone());
        self
    }

    /// Stores the task and blocks this thread until it is: for synchronous code, plain-`fn` tasks
    /// included.
    ///
    /// Needs no runtime. In async code use `.await`: a thread of the runtime that waits here runs
    /// nothing else.
    ///
    /// # Errors
    /// As `.await`.
    ///
    /// ```
    /// # use gae_tasks::{Client, deferred};
    /// #[deferred]
    /// fn greet(name: String) {}
    ///
    /// fn synchronous(tasks: &Client) -> Result<(), gae_tasks::Error> {
    ///     greet::defer("you").on(tasks).wait()?;
    ///     Ok(())
    /// }
    /// ```
    pub fn wait(self) -> Result<Deferred, Error> {
        let client = self.client()?;
        // Prepared here, where the caller's trace and task are.
        if client.is_inline() {
            let (registration, task) = (self.registration, self.prepare_inline(&client)?);
            return client.on_a_thread(client.run_prepared(registration, task));
        }
        let prepared = self.prepare(&client)?;
        if !client.has_raised(&prepared.task.spec.queue) {
            pollster::block_on(client.raise_retention([&prepared.task.spec.queue]))?;
        }
        if client.spills(&prepared.task) {
            return client.on_a_thread(client.enqueue_one(prepared));
        }
        client.enqueue_one_blocking(prepared)
    }

    /// The kind it is deferred as.
    pub(crate) fn kind(&self) -> &'static str {
        self.registration.kind
    }

    pub(crate) fn registration(&self) -> &'static Registration {
        self.registration
    }

    /// The client it is deferred with.
    pub(crate) fn client(&self) -> Result<Client, Error> {
        let client = self.client.clone().or_else(Client::current);
        client.ok_or_else(|| Error::NoClient { kind: self.kind().to_owned() })
    }

    async fn store(self) -> Result<Deferred, Error> {
        let client = self.client()?;
        if client.is_inline() {
            // In a box of its own: the future of every other call stays small.
            return Box::pin(client.run_inline(self)).await;
        }
        let prepared = self.prepare(&client)?;
        if !client.has_raised(&prepared.task.spec.queue) {
            Box::pin(client.raise_retention([&prepared.task.spec.queue])).await?;
        }
        let answer = client.enqueue_one(prepared);
        answer.await
    }
}

/// Of the payload it tells the length only.
impl std::fmt::Debug for Defer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            registration,
            payload,
            client,
            schedule,
            name,
            queues,
            must_be_new,
            max_attempts,
            deadline,
            options,
        } = self;
        f.debug_struct("Defer")
            .field("registration", registration)
            .field("payload", &payload.as_deref().map(Redacted))
            .field("client", client)
            .field("schedule", schedule)
            .field("name", name)
            .field("queues", queues)
            .field("must_be_new", must_be_new)
            .field("max_attempts", max_attempts)
            .field("deadline", deadline)
            .field("options", options)
            .finish()
    }
}

impl IntoFuture for Defer {
    type Output = Result<Deferred, Error>;
    type IntoFuture = DeferFuture;

    fn into_future(self) -> DeferFuture {
        DeferFuture(Box::pin(self.store()))
    }
}

/// A task on its way into the storage: what `.await` on a [`Defer`] polls.
#[must_use = "futures do nothing unless awaited"]
pub struct DeferFuture(BoxFuture<'static, Result<Deferred, Error>>);

impl Future for DeferFuture {
    type Output = Result<Deferred, Error>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.0.as_mut().poll(cx)
    }
}

impl std::fmt::Debug for DeferFuture {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("DeferFuture")
    }
}

/// The backend's answer, as the caller asked to have it.
pub(crate) fn judge(
    answer: Deferred,
    new_name: Option<(TaskName, QueueName)>,
) -> Result<Deferred, Error> {
    match new_name {
        Some((name, queue)) if !answer.created => {
            Err(Error::NameTaken { name: name.to_string(), queue: queue.to_string() })
        }
        _ => Ok(answer),
    }
}

/// The result of an inline run, as the caller of `defer` sees it.
pub(crate) fn inline_answer(kind: &str, id: TaskId, outcome: Outcome) -> Result<Deferred, Error> {
    match outcome.into_result() {
        Ok(()) => Ok(Deferred::new(id, true)),
        Err(source) => Err(Error::TaskFailed { kind: kind.to_owned(), source }),
    }
}
