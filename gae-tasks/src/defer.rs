//! A call to be run later, as `send_welcome::defer(..)` returns it.

mod in_tx;
mod options;
mod prepare;
#[cfg(feature = "cron")]
mod template;
mod unique;

use std::time::Duration;

use self::options::Options;
pub(crate) use self::prepare::Prepared;
pub use self::unique::Unique;
use crate::attributes::Target;
use crate::client::{Client, boxed_future};
use crate::error::Error;
use crate::outcome::Outcome;
use crate::payload::{Encoder, UnreadableError};
use crate::queue::{QueueName, RetryConfig};
use crate::registration::Registration;
use crate::task::{Deferred, Redacted, TaskId, TaskName};
use crate::task_type::{Args, Task, encode_readable};
use crate::time::{Schedule, Timestamp};

/// A call to be run later; `.await` stores the task and returns a [`Deferred`]. See the guide
/// [deferring](crate::guide::deferring).
///
/// After the `.await` has returned `Ok`, the task survives a crash. If the future is dropped
/// earlier, it is unknown whether the task is stored: give the task a [name](Self::named) if that
/// matters.
///
/// # Errors
/// The `.await` fails, and stores nothing, if there is no client ([`Error::NoClient`]), an option
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
/// let welcome = send_welcome::defer(42, "hello").after(Duration::from_secs(60));
/// let answer = welcome.named("welcome-42").on(&tasks).await?;
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
    priority: Option<i8>,
    /// Boxed, as few calls have them.
    options: Option<Box<Options>>,
}

impl Defer {
    /// Creates a call with these args, like `args.defer()`, for code that is generic over the task.
    ///
    /// ```
    /// use gae_tasks::{Client, Defer, Task, deferred};
    ///
    /// /// Defers a call of any task, to run at night.
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
        Self::encoded::<A>(encode_readable::<A>(|encoder| args.encode(encoder)))
    }

    /// Creates a call whose args are written from parts of them, so that a receiver is borrowed and
    /// not cloned.
    #[doc(hidden)]
    pub fn of_parts<A: Args, P: Copy>(
        parts: P,
        write: fn(&mut Encoder, P) -> Result<(), UnreadableError>,
    ) -> Self {
        Self::encoded::<A>(encode_readable::<A>(|encoder| write(encoder, parts)))
    }

    fn encoded<A: Args>(payload: Result<Vec<u8>, UnreadableError>) -> Self {
        Self::of(A::Task::registration(), payload)
    }

    /// Creates a call with args that are encoded already.
    pub(crate) fn of(
        registration: &'static Registration,
        payload: Result<Vec<u8>, UnreadableError>,
    ) -> Self {
        Self {
            registration,
            payload,
            client: None,
            schedule: Schedule::Now,
            name: None,
            queues: None,
            must_be_new: false,
            max_attempts: None,
            deadline: None,
            priority: None,
            options: None,
        }
    }

    /// Sets the earliest time of the task to `delay` from now.
    #[doc(alias = "countdown")]
    pub fn after(mut self, delay: Duration) -> Self {
        self.schedule = Schedule::After(delay);
        self
    }

    /// Sets the earliest time of the task; if `time` has passed, the task is due at once. Accepts a
    /// `SystemTime` too.
    #[doc(alias = "eta")]
    pub fn at(mut self, time: impl Into<Timestamp>) -> Self {
        self.schedule = Schedule::At(time.into());
        self
    }

    /// Names the task, `[A-Za-z0-9_-]{1,500}`: if the queue has, or recently had, a task of this
    /// name, no other one is deferred.
    ///
    /// A name is blocked by a task that waits or runs, by its dead letter, and for a while after
    /// the task is over, however it ended: for as long as its queue says
    /// ([`tombstone_retention`](crate::QueueConfig::with_tombstone_retention), a day by default; at
    /// Google, up to nine days). To choose what blocks, and what happens then, make the task
    /// [unique](Self::unique). A task has a name or a key, never both.
    pub fn named(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Puts the task into this queue, in place of the attribute's queues.
    ///
    /// By default, a worker serves the queues that attributes name: some worker's
    /// [`Worker::queues`](crate::Worker::queues) must name this queue.
    pub fn queue(self, queue: impl Into<String>) -> Self {
        self.spread([queue])
    }

    /// Puts the task into one of these queues: chosen by the hash of its name, or at random.
    pub fn spread<Q: Into<String>>(mut self, queues: impl IntoIterator<Item = Q>) -> Self {
        self.queues = Some(queues.into_iter().map(Into::into).collect());
        self
    }

    /// Makes a name in use an error, [`Error::NameTaken`], instead of an answer with `created:
    /// false`.
    pub fn must_be_new(mut self) -> Self {
        self.must_be_new = true;
        self
    }

    /// Makes the task unique: of those with the same key, a queue has one that waits. What the key
    /// is, what else blocks it, and what happens then says [`Unique`]; the answer says what
    /// happened, as [`Deferred::conflict`]. In place of the attribute's `unique_by`. See the guide
    /// [deferring](crate::guide::deferring#unique-tasks).
    ///
    /// ```
    /// # use gae_tasks::{Client, deferred};
    /// use gae_tasks::Unique;
    ///
    /// #[deferred(queue = "search")]
    /// async fn index_page(page: u64) {}
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), gae_tasks::Error> {
    /// let tasks = Client::open("memory:").await?;
    /// let first = index_page::defer(7).unique(Unique::by_args()).on(&tasks).await?;
    /// let second = index_page::defer(7).unique(Unique::by_args()).on(&tasks).await?;
    /// assert_eq!((second.id, second.created), (first.id, false));
    /// # Ok(())
    /// # }
    /// ```
    pub fn unique(mut self, unique: Unique) -> Self {
        self.options().unique = Some(unique);
        self
    }

    /// Caps the task's attempts, including the first, below those of its queue; zero is refused.
    pub fn max_attempts(mut self, attempts: u32) -> Self {
        self.max_attempts = Some(attempts);
        self
    }

    /// Sets the time one attempt may take, in place of the attribute's deadline.
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = Some(deadline);
        self
    }

    /// Sets the priority of the task among those of its queue, in place of the attribute's: -100 to
    /// 100, 0 if neither says; higher is sooner. Only for backends that have
    /// [`priorities`](crate::Capabilities::priorities).
    ///
    /// The task is run as if it had been due 30 seconds earlier for each step, or [as long as its
    /// queue says](crate::QueueConfig::with_priority_step). So a task of priority 10 goes before
    /// what became due in the last five minutes, and nothing waits for ever. It is never run before
    /// its time, and queues take turns whatever the priorities of their tasks are. See the guide
    /// [deferring](crate::guide::deferring#priorities).
    ///
    /// ```
    /// # use gae_tasks::{Client, deferred};
    /// #[deferred(queue = "emails")]
    /// async fn send_welcome(user_id: u64) {}
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), gae_tasks::Error> {
    /// let tasks = Client::open("memory:").await?;
    /// let urgent = send_welcome::defer(42).priority(10).on(&tasks).await?;
    /// assert_eq!(tasks.get(urgent.id).await?.unwrap().spec.priority, 10);
    /// # Ok(())
    /// # }
    /// ```
    pub fn priority(mut self, priority: i8) -> Self {
        self.priority = Some(priority);
        self
    }

    /// Sets how the task is retried, in place of its queue's settings.
    pub fn retry(mut self, retry: RetryConfig) -> Self {
        self.options().retry = Some(retry);
        self
    }

    /// Sends the task to this service of the platform, in place of the backend's own. Only for
    /// backends that have [`targets`](crate::Capabilities::targets). A service is 1 to 63
    /// lower-case letters, digits or, inside, hyphens.
    pub fn target(mut self, service: impl Into<String>) -> Self {
        self.options().target = Some(Target { service: service.into(), version: None });
        self
    }

    /// Like [`target`](Self::target), for this version of the service, whichever version receives
    /// its traffic.
    pub fn target_version(
        mut self,
        service: impl Into<String>,
        version: impl Into<String>,
    ) -> Self {
        self.options().target =
            Some(Target { service: service.into(), version: Some(version.into()) });
        self
    }

    /// Adds a header to the task's requests. Only for backends that have
    /// [`headers`](crate::Capabilities::headers). A header of the same name is replaced.
    ///
    /// The names `Host`, `Content-Length` and others that the queue or this crate sets are refused,
    /// and names that begin with `X-CloudTasks-`, `X-AppEngine-` or `X-Google-`. The value consists
    /// of visible ASCII characters with spaces and tabs between them. The queue stores the value:
    /// do not send secrets in it.
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.options().header(name.into(), value.into());
        self
    }

    fn options(&mut self) -> &mut Options {
        self.options.get_or_insert_default()
    }

    /// Defers the task with this client, whatever client the surrounding code has.
    pub fn on(mut self, client: &Client) -> Self {
        self.client = Some(client.clone());
        self
    }

    /// Stores the task, and blocks this thread until it is stored: for synchronous code, including
    /// plain-`fn` tasks.
    ///
    /// No runtime is needed. In async code use `.await`: a thread of the runtime that waits here
    /// runs nothing else.
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
        // Prepared on this thread, which knows the caller's trace and task.
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

    /// The kind of the task.
    pub(crate) fn kind(&self) -> &'static str {
        self.registration.kind
    }

    pub(crate) fn registration(&self) -> &'static Registration {
        self.registration
    }

    /// The client that the task is deferred with.
    pub(crate) fn client(&self) -> Result<Client, Error> {
        let client = self.client.clone().or_else(Client::current);
        client.ok_or_else(|| Error::NoClient { kind: self.kind().to_owned() })
    }

    async fn store(self) -> Result<Deferred, Error> {
        let client = self.client()?;
        if client.is_inline() {
            // Boxed: the future of every other call stays small.
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

/// Shows only the length of the payload.
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
            priority,
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
            .field("priority", priority)
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

boxed_future! {
    /// The future of a [`Defer`].
    DeferFuture -> Result<Deferred, Error>
}

/// The backend's answer, in the form that the caller asked for.
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

/// The result of an inline run, in the form of a `defer`.
pub(crate) fn inline_answer(kind: &str, id: TaskId, outcome: Outcome) -> Result<Deferred, Error> {
    match outcome.into_result() {
        Ok(()) => Ok(Deferred::new(id, true)),
        Err(source) => Err(Error::TaskFailed { kind: kind.to_owned(), source }),
    }
}
