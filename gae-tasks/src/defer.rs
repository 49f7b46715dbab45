//! A call that is to run later: what `send_welcome::defer(..)` gives.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use crate::backend::opaque::Hidden;
use crate::backend::{BoxFuture, NewTask};
use crate::client::Client;
use crate::error::Error;
use crate::outcome::Outcome;
use crate::payload::{self, Args, UnreadableError};
use crate::queue::{QueueName, spread};
use crate::registry::Registration;
use crate::task::{Deferred, Kind, Task, TaskId, TaskName};
use crate::time::{Schedule, Timestamp};

/// A call that is to run later; `.await` stores it and gives a [`Deferred`].
///
/// After the `.await` has returned `Ok`, the task survives a crash. Dropping the future before leaves it unknown
/// whether the task is stored: give it a [name](Self::named) where that matters.
///
/// # Errors
/// The `.await` fails, and stores nothing, if no client is known ([`Error::NoClient`]), an option is out of range, the
/// args cannot be stored ([`Error::Unreadable`], [`Error::PayloadTooLarge`]), or the storage fails ([`Error::Storage`]).
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
}

impl Defer {
    #[doc(hidden)]
    pub fn new<A: Args>(args: &A) -> Self {
        Self {
            registration: A::Task::registration(),
            payload: payload::encode_readable(args),
            client: None,
            schedule: Schedule::Now,
            name: None,
            queues: None,
            must_be_new: false,
            max_attempts: None,
            deadline: None,
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

    /// Gives it a name, `[A-Za-z0-9_-]{1,500}`: a task of that name that is in the queue, or recently was, is not
    /// deferred again.
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

    /// Makes a name in use an error, [`Error::NameTaken`], in place of an answer with `created: false`.
    pub fn must_be_new(mut self) -> Self {
        self.must_be_new = true;
        self
    }

    /// Caps its attempts, the first one included, below those of its queue; at least 1.
    pub fn max_attempts(mut self, attempts: u32) -> Self {
        self.max_attempts = Some(attempts.max(1));
        self
    }

    /// The time one attempt may take, in place of the attribute's.
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = Some(deadline);
        self
    }

    /// Defers it with this client, whatever client the surrounding code has.
    pub fn on(mut self, client: &Client) -> Self {
        self.client = Some(client.clone());
        self
    }

    /// Stores the task and blocks this thread until it is: for synchronous code, plain-`fn` tasks included.
    ///
    /// Needs no runtime. In async code use `.await`: a thread of the runtime that waits here runs nothing else.
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
        if client.is_inline() { client.wait_inline(self) } else { pollster::block_on(self.on(&client).into_future()) }
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

    /// The task to be stored, with every option checked against what the client's backend can do.
    pub(crate) fn prepare(self, client: &Client) -> Result<Prepared, Error> {
        let registration = self.registration;
        let kind = || registration.kind.to_owned();
        let payload = self.payload.map_err(|source| Error::Unreadable { kind: kind(), source })?;
        let limits = client.capabilities();
        if payload.len() > limits.max_payload {
            return Err(Error::PayloadTooLarge { kind: kind(), size: payload.len(), limit: limits.max_payload });
        }
        let ahead = match self.schedule {
            Schedule::Now => Duration::ZERO,
            Schedule::After(delay) => delay,
            Schedule::At(at) => at.since(client.clock().wall()),
        };
        if let Some(horizon) = limits.schedule_horizon.filter(|horizon| ahead > *horizon) {
            return Err(Error::BeyondHorizon { kind: kind(), ahead, horizon, backend: limits.backend });
        }
        let (least, most) = (limits.min_deadline, limits.max_deadline);
        if let Some(deadline) = self.deadline.filter(|deadline| !(least..=most).contains(deadline)) {
            return Err(Error::DeadlineOutOfRange { kind: kind(), deadline, least, most, backend: limits.backend });
        }
        let id = TaskId::generate();
        let name = self.name.map(TaskName::new).transpose()?;
        let queue = match self.queues {
            Some(queues) => {
                let queues = queues.into_iter().map(QueueName::new).collect::<Result<Vec<_>, _>>()?;
                spread(&queues, name.as_ref(), id).cloned()
            }
            None => client.queue_of(registration, name.as_ref(), id),
        };
        let queue = queue.ok_or_else(|| Error::NoQueue { kind: kind() })?;
        let task = NewTask {
            id,
            kind: Kind::from_static(registration.kind),
            shape: registration.shape,
            payload,
            queue,
            name,
            schedule: self.schedule,
            // Both caps: that of the type must hold where leases are lost too, and no worker tells it then.
            max_attempts: [self.max_attempts, registration.max_attempts].into_iter().flatten().min(),
            retry: None,
            deadline: self.deadline,
            attributes: None,
        };
        Ok(Prepared { task, must_be_new: self.must_be_new })
    }

    async fn store(self) -> Result<Deferred, Error> {
        let client = self.client()?;
        if client.is_inline() {
            // In a box of its own: the future of every other call stays small.
            return Box::pin(client.run_inline(self)).await;
        }
        let answer = client.enqueue_one(self.prepare(&client)?);
        answer.await
    }
}

/// Of the payload it tells the length only.
impl std::fmt::Debug for Defer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { registration, payload, client, schedule, name, queues, must_be_new, max_attempts, deadline } = self;
        f.debug_struct("Defer")
            .field("registration", registration)
            .field("payload", &payload.as_deref().map(Hidden))
            .field("client", client)
            .field("schedule", schedule)
            .field("name", name)
            .field("queues", queues)
            .field("must_be_new", must_be_new)
            .field("max_attempts", max_attempts)
            .field("deadline", deadline)
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

/// A task whose options are checked.
#[derive(Debug)]
pub(crate) struct Prepared {
    pub(crate) task: NewTask,
    pub(crate) must_be_new: bool,
}

impl Prepared {
    /// The name, with its queue, if it must be a new one.
    pub(crate) fn new_name(&self) -> Option<(TaskName, QueueName)> {
        let name = self.task.name.clone().filter(|_| self.must_be_new)?;
        Some((name, self.task.queue.clone()))
    }
}

/// The backend's answer, as the caller asked to have it.
pub(crate) fn judge(answer: Deferred, new_name: Option<(TaskName, QueueName)>) -> Result<Deferred, Error> {
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
