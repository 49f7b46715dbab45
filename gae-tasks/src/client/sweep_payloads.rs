//! Deleting payloads that no stored task needs any more.

use std::collections::HashMap;
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use super::Client;
use crate::attributes::Attributes;
use crate::backend::{BoxFuture, TaskFilter, TaskRecord};
use crate::error::Error;
use crate::payload_store::task_of;
use crate::task::TaskId;

/// The least age of what is deleted: time for a task whose payload is there already to be stored, on whatever clock.
const MIN_AGE: Duration = Duration::from_secs(60 * 60);

impl Client {
    /// Deletes the payloads in this client's payload store that are older than `older_than` (at least an hour) and whose
    /// tasks are no longer stored; `.await` answers how many.
    ///
    /// Payloads are deleted with their tasks. Some are left over: a process ended in between, an answer was lost, a
    /// queue was purged elsewhere. Call this every day or so, with a day or so. It is safe beside callers and workers.
    ///
    /// **Other clients that keep tasks with payloads in the same store must be named** by
    /// [`beside`](SweepPayloads::beside): a client whose backend keeps the dead letters of a push queue is one.
    ///
    /// # Errors
    /// The `.await` fails, and deletes nothing more, if the store or a backend does not answer ([`Error::PayloadStore`],
    /// [`Error::Storage`]), or if the client has no payload store ([`Error::Misconfigured`]).
    ///
    /// ```
    /// # #[cfg(feature = "object-store")]
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), gae_tasks::Error> {
    /// use std::time::Duration;
    /// use gae_tasks::Client;
    ///
    /// let tasks = Client::builder().payload_store("memory:").open("memory:").await?;
    /// assert_eq!(tasks.sweep_payloads(Duration::from_secs(24 * 60 * 60)).await?, 0);
    /// # Ok(())
    /// # }
    /// # #[cfg(not(feature = "object-store"))]
    /// # fn main() {}
    /// ```
    pub fn sweep_payloads(&self, older_than: Duration) -> SweepPayloads {
        SweepPayloads { client: self.clone(), others: Vec::new(), older_than: older_than.max(MIN_AGE) }
    }
}

/// A sweep of payloads: `.await` it. See [`Client::sweep_payloads`].
#[must_use = "nothing is swept until this is awaited"]
#[derive(Debug)]
pub struct SweepPayloads {
    client: Client,
    others: Vec<Client>,
    older_than: Duration,
}

impl SweepPayloads {
    /// Keeps the payloads of this client's tasks too.
    pub fn beside(mut self, other: &Client) -> Self {
        self.others.push(other.clone());
        self
    }

    async fn sweep(self) -> Result<u64, Error> {
        let Some(shelf) = self.client.shelf() else {
            let problem =
                "the client has no payload store to sweep: add `.payload_store(..)` to its builder".to_owned();
            return Err(Error::Misconfigured { problems: vec![problem] });
        };
        let before = self.client.clock().wall().minus(self.older_than);
        let store = &shelf.store;
        let keys = store.put_before(before).await.map_err(|source| Error::PayloadStore {
            store: store.name(),
            problem: "does not tell which payloads it has, so none was swept: try again later".to_owned(),
            source,
        })?;
        let mut orphans: HashMap<TaskId, String> =
            keys.into_iter().filter_map(|key| Some((task_of(&key)?, key))).collect();
        // In this order: a task that moves on its way to a dead letter is kept there before it is gone here.
        for client in std::iter::once(&self.client).chain(&self.others) {
            client.keep_needed(&mut orphans).await?;
        }
        Ok(shelf.delete_all(&orphans.into_values().collect::<Vec<_>>()).await)
    }
}

impl Client {
    /// Takes those out whose task is stored here.
    async fn keep_needed(&self, orphans: &mut HashMap<TaskId, String>) -> Result<(), Error> {
        // Push queues may know a named task by another id than the one it was deferred with: only a look at all tells.
        if !self.capabilities().pull {
            return self.keep_listed(orphans).await;
        }
        let ids: Vec<_> = orphans.keys().copied().collect();
        for id in ids {
            if self.get(id).await?.is_some() {
                orphans.remove(&id);
            }
        }
        Ok(())
    }

    async fn keep_listed(&self, orphans: &mut HashMap<TaskId, String>) -> Result<(), Error> {
        let mut after = None;
        while !orphans.is_empty() {
            let page = self.list(TaskFilter::new(), after, usize::MAX).await?;
            let Some(last) = page.last() else { return Ok(()) };
            after = Some(last.spec.id);
            for id in page.iter().filter_map(|record| task_of(&key_of(record)?)) {
                orphans.remove(&id);
            }
        }
        Ok(())
    }
}

/// The key of this task's payload, if it is in a store.
fn key_of(record: &TaskRecord) -> Option<String> {
    Some(Attributes::spilled_in(record.spec.attributes.as_deref())?.key)
}

impl IntoFuture for SweepPayloads {
    type Output = Result<u64, Error>;
    type IntoFuture = SweepPayloadsFuture;

    fn into_future(self) -> SweepPayloadsFuture {
        SweepPayloadsFuture(Box::pin(self.sweep()))
    }
}

/// A sweep of payloads under way: what `.await` on a [`SweepPayloads`] polls. Dropped, it has deleted some or none.
#[must_use = "futures do nothing unless awaited"]
pub struct SweepPayloadsFuture(BoxFuture<'static, Result<u64, Error>>);

impl Future for SweepPayloadsFuture {
    type Output = Result<u64, Error>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.0.as_mut().poll(cx)
    }
}

impl fmt::Debug for SweepPayloadsFuture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SweepPayloadsFuture")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attributes::Spilled;
    use crate::backend::memory::Memory;
    use crate::backend::{Enqueue, NewTask};
    use crate::payload_store::key;
    use crate::queue::QueueName;
    use crate::task::{Kind, Shape, TaskSpec};

    #[test]
    fn a_payload_is_needed_whatever_id_its_task_is_stored_under() {
        let client = Client::builder().build(Memory::new()).unwrap();
        let (deferred, orphan) = (TaskId::from_bytes([1; 16]), TaskId::from_bytes([2; 16]));
        let spilled = Spilled::new(key(deferred), "shelf".to_owned(), b"payload");
        let (id, kind) = (TaskId::from_bytes([3; 16]), Kind::from_static("shop/send"));
        let attributes = Attributes { spilled: Some(spilled), ..Attributes::default() }.encode();
        let spec = TaskSpec { attributes, ..TaskSpec::new(id, kind, Shape::from_bits(7), QueueName::DEFAULT) };
        let task = NewTask::new(spec, Vec::new());
        pollster::block_on(client.backend().enqueue(Enqueue::new(client.now(), vec![task]))).unwrap();
        let mut orphans = HashMap::from([deferred, orphan].map(|id| (id, key(id))));
        pollster::block_on(client.keep_listed(&mut orphans)).unwrap();
        assert_eq!(orphans, HashMap::from([(orphan, key(orphan))]));
    }
}
