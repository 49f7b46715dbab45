//! Assertions about deferred tasks, which print near misses.

use std::fmt;

use crate::backend::{List, TaskFilter, TaskRecord, TaskState, stored_schema};
use crate::client::Client;
use crate::payload::{CannotRead, Reading};
use crate::registration::Registration;
use crate::task::Kind;
use crate::task_type::{Args, Task, read};

/// Asserts that a client's backend has a task of this type that waits or runs; with a closure, one
/// whose args match.
///
/// Tasks that are over do not count, so assert before [`drain`](crate::Client::drain). Dead letters
/// do not count either; [`list`](crate::Client::list) shows them.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), gae_tasks::Error> {
/// use gae_tasks::testing::assert_deferred;
/// use gae_tasks::{Client, deferred};
///
/// #[deferred]
/// async fn send_welcome(user_id: u64) {}
///
/// let tasks = Client::open("memory:").await?;
/// send_welcome::defer(42).on(&tasks).await?;
/// assert_deferred!(tasks, send_welcome);
/// assert_deferred!(tasks, send_welcome, |args| args.user_id == 42);
/// # Ok(())
/// # }
/// ```
#[macro_export]
macro_rules! assert_deferred {
    ($client:expr, $task:path $(,)?) => {
        $crate::assert_deferred!($client, $task, |_| true)
    };
    ($client:expr, $task:path, $matches:expr $(,)?) => {{
        let found = $crate::testing::matching::<$task>(&$client, $matches);
        if found.matching == 0 {
            $crate::testing::panic_not_deferred(&found);
        }
    }};
}

/// Asserts that in a client's backend no such task waits or runs: the opposite of
/// [`assert_deferred!`].
#[macro_export]
macro_rules! assert_not_deferred {
    ($client:expr, $task:path $(,)?) => {
        $crate::assert_not_deferred!($client, $task, |_| true)
    };
    ($client:expr, $task:path, $matches:expr $(,)?) => {{
        let found = $crate::testing::matching::<$task>(&$client, $matches);
        if found.matching > 0 {
            ::std::panic!("matching tasks: {}; {found}", found.matching);
        }
    }};
}

/// The result of [`matching`].
#[derive(Debug)]
pub struct Found {
    kind: &'static str,
    /// The number of tasks of the type that match.
    pub matching: usize,
    /// The args of every task of the type.
    args: Vec<String>,
    /// How many dead letters of the type are left out.
    dead: usize,
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let quantity = if self.args.is_empty() { "no tasks" } else { "these tasks" };
        write!(f, "{quantity} of `{}` wait or run", self.kind)?;
        if self.dead > 0 {
            write!(f, " (dead letters: {})", self.dead)?;
        }
        self.args.iter().try_for_each(|args| write!(f, "\n  {args}"))
    }
}

/// Returns the stored tasks of the type `T`, and the number of those that match.
///
/// As by a worker, tasks stored under an alias are found, and payloads of older parameters are
/// read.
pub fn matching<T: Task>(client: &Client, matches: impl Fn(&T::Args) -> bool) -> Found {
    let registration = T::registration();
    let mut found = Found { kind: registration.kind, matching: 0, args: Vec::new(), dead: 0 };
    for kind in std::iter::once(registration.kind).chain(registration.aliases.iter().copied()) {
        for record in stored_tasks(client, kind) {
            if record.state == TaskState::Dead {
                found.dead += 1;
                continue;
            }
            let reading = match reading(client, registration, &record) {
                Ok(reading) => reading,
                Err(why) => {
                    found.args.push(format!("(other parameters: {why})"));
                    continue;
                }
            };
            match read::<T::Args>(record.payload.as_deref().unwrap_or_default(), &reading) {
                Ok(args) => {
                    found.matching += usize::from(matches(&args));
                    found.args.push(Described(&args).to_string());
                }
                Err(error) => found.args.push(format!("(unreadable: {error})")),
            }
        }
    }
    found
}

/// Returns how the function reads the payload of a stored task.
fn reading(
    client: &Client,
    registration: &Registration,
    record: &TaskRecord,
) -> Result<Reading, CannotRead> {
    let shape = record.spec.shape;
    match registration.reading(shape, record.schema.as_deref()) {
        Err(CannotRead::NotStored) => {
            let schema = pollster::block_on(stored_schema(client.backend(), shape));
            registration.reading(shape, schema.as_deref())
        }
        known => known,
    }
}

/// Returns the stored tasks of a kind, dead letters included.
fn stored_tasks(client: &Client, kind: &'static str) -> Vec<TaskRecord> {
    let mut tasks = Vec::new();
    let mut after = None;
    loop {
        let filter = TaskFilter::new().kind(Kind::from_static(kind));
        let page = pollster::block_on(
            client.backend().list(List::new(filter, 1000).after(after).with_payloads()),
        );
        let page = page.unwrap_or_else(|error| panic!("cannot read the deferred tasks: {error}"));
        let Some(last) = page.last() else { return tasks };
        after = Some(last.spec.id);
        tasks.extend(page);
    }
}

/// Fails a test with the near misses.
///
/// # Panics
/// Always.
#[track_caller]
pub fn panic_not_deferred(found: &Found) -> ! {
    panic!("no matching task: {found}")
}

/// Args as text.
struct Described<'a, A>(&'a A);

impl<A: Args> fmt::Display for Described<'_, A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.describe(f)
    }
}
