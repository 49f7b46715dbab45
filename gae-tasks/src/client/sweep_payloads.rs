//! Deletes payloads that no stored task needs any more.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use super::Client;
use super::future::boxed_future;
use crate::backend::Backend;
use crate::error::Error;
use crate::outcome::BoxError;
use crate::payload_store::{Shelf, task_of, task_of_letter};
#[cfg(feature = "push")]
use crate::push::LetterStore;
use crate::task::TaskId;
use crate::time::Timestamp;

/// The least age of a marker that is deleted: Cloud Tasks delivers a task for at most 31 days.
const MARKER_AGE: Duration = Duration::from_secs(32 * 24 * 60 * 60);

/// The least age of a payload that is deleted: enough time for its task to be stored, whatever the
/// clocks.
const MIN_AGE: Duration = Duration::from_secs(60 * 60);

impl Client {
    /// Deletes the payloads in this client's payload store that are older than `older_than` (at
    /// least an hour) and whose tasks are no longer stored; `.await` returns their number.
    ///
    /// Payloads are normally deleted with their tasks, except that a push queue's leave markers
    /// (see [`payload_store`](crate::payload_store)), which a sweep deletes when they are 32 days
    /// old. Some payloads are left over: a process ended in between, an answer was lost, a queue
    /// was purged elsewhere. Call this about once a day, with an age of about a day. It is safe
    /// while callers and workers are running.
    ///
    /// **Other clients that keep tasks with payloads in the same store must be named** with
    /// [`beside`](SweepPayloads::beside), such as a client whose backend keeps the dead letters of
    /// a push queue. The queues that this client is known to [relay](Client::relay_to) to are
    /// looked at anyway. Dead letters in another payload store are named with `beside_letters`.
    ///
    /// # Errors
    /// The `.await` fails, and deletes nothing more, if the store or a backend does not answer
    /// ([`Error::PayloadStore`], [`Error::Storage`]), or if the client has no payload store
    /// ([`Error::Misconfigured`]).
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
        SweepPayloads {
            client: self.clone(),
            others: Vec::new(),
            #[cfg(feature = "push")]
            letters: Vec::new(),
            older_than: older_than.max(MIN_AGE),
        }
    }
}

/// A sweep of payloads: `.await` it. See [`Client::sweep_payloads`].
#[must_use = "nothing is swept until this is awaited"]
#[derive(Debug)]
pub struct SweepPayloads {
    client: Client,
    others: Vec<Client>,
    #[cfg(feature = "push")]
    letters: Vec<LetterStore>,
    older_than: Duration,
}

impl SweepPayloads {
    /// Also keeps the payloads of this client's tasks.
    pub fn beside(mut self, other: &Client) -> Self {
        self.others.push(other.clone());
        self
    }

    /// Also keeps the payloads of these dead letters. Payloads of letters in the swept store are
    /// kept anyway.
    #[cfg(feature = "push")]
    #[cfg_attr(docsrs, doc(cfg(feature = "push")))]
    pub fn beside_letters(mut self, letters: &LetterStore) -> Self {
        self.letters.push(letters.clone());
        self
    }

    async fn sweep(self) -> Result<u64, Error> {
        let Some(shelf) = self.client.shelf() else {
            let problem =
                "the client has no payload store to sweep: add `.payload_store(..)` to its builder"
                    .to_owned();
            return Err(Error::Misconfigured { problems: vec![problem] });
        };
        let before = self.client.clock().wall().minus(self.older_than);
        let keys =
            shelf.store.put_before(before).await.map_err(|source| unlisted(shelf, source))?;
        let mut orphans: HashMap<TaskId, String> =
            keys.into_iter().filter_map(|key| Some((task_of(&key)?, key))).collect();
        // Before the queues too: a letter that is replayed after it was read here is in a queue.
        if !orphans.is_empty() {
            self.keep_those_of_letters(&mut orphans, shelf).await?;
        }
        // In this order: a task that becomes a dead letter is stored at its new place before it is
        // deleted at the old one.
        for client in std::iter::once(&self.client).chain(&self.others) {
            client.keep_needed(&mut orphans).await?;
        }
        if !orphans.is_empty() {
            self.keep_those_of_letters(&mut orphans, shelf).await?;
        }
        let orphans: Vec<_> =
            self.client.without_markers(orphans.into_values().collect(), shelf).await?;
        Ok(shelf.delete_all(&orphans).await)
    }
}

impl SweepPayloads {
    /// Removes the payloads whose task is a dead letter in the store, or in a named one.
    async fn keep_those_of_letters(
        &self,
        orphans: &mut HashMap<TaskId, String>,
        shelf: &Shelf,
    ) -> Result<(), Error> {
        let keys = shelf
            .store
            .put_before(Timestamp::MAX)
            .await
            .map_err(|source| unlisted(shelf, source))?;
        for (id, _) in keys.iter().filter_map(|key| task_of_letter(key)) {
            orphans.remove(&id);
        }
        #[cfg(feature = "push")]
        for letters in &self.letters {
            for id in letters.ids().await? {
                orphans.remove(&id);
            }
        }
        Ok(())
    }
}

fn unlisted(shelf: &Shelf, source: BoxError) -> Error {
    Error::PayloadStore {
        store: shelf.store.name(),
        problem: "does not list its payloads, so none was deleted: try again later".to_owned(),
        source,
    }
}

impl Client {
    /// Removes the markers that must stay: they are kept until a repeated delivery is impossible.
    async fn without_markers(
        &self,
        orphans: Vec<String>,
        shelf: &Shelf,
    ) -> Result<Vec<String>, Error> {
        if orphans.is_empty() {
            return Ok(orphans);
        }
        let old = shelf.store.put_before(self.clock().wall().minus(MARKER_AGE)).await;
        let old: HashSet<_> = old.map_err(|source| unlisted(shelf, source))?.into_iter().collect();
        let young = orphans.iter().filter(|key| !old.contains(*key)).cloned().collect();
        let marked = shelf.marked(young).await.map_err(|source| unlisted(shelf, source))?;
        let marked: HashSet<_> = marked.into_iter().collect();
        Ok(orphans.into_iter().filter(|key| !marked.contains(key)).collect())
    }

    /// Removes the payloads whose task is stored here, or where its queue is relayed to. Meanwhile
    /// a task moves from here to there, and its dead letter from there to here: so each way is
    /// followed.
    async fn keep_needed(&self, orphans: &mut HashMap<TaskId, String>) -> Result<(), Error> {
        keep_stored(self.backend(), orphans).await?;
        let destinations = self.destinations();
        for destination in &destinations {
            keep_stored(&*destination.backend, orphans).await?;
        }
        if !destinations.is_empty() {
            keep_stored(self.backend(), orphans).await?;
        }
        Ok(())
    }
}

/// Removes the payloads whose task is stored in this backend.
async fn keep_stored(
    backend: &dyn Backend,
    orphans: &mut HashMap<TaskId, String>,
) -> Result<(), Error> {
    let ids: Vec<_> = orphans.keys().copied().collect();
    if ids.is_empty() {
        return Ok(());
    }
    for id in backend.stored(ids).await? {
        orphans.remove(&id);
    }
    Ok(())
}

impl IntoFuture for SweepPayloads {
    type Output = Result<u64, Error>;
    type IntoFuture = SweepPayloadsFuture;

    fn into_future(self) -> SweepPayloadsFuture {
        SweepPayloadsFuture(Box::pin(self.sweep()))
    }
}

boxed_future! {
    /// The future of a [`SweepPayloads`]. A dropped sweep has deleted some payloads or none.
    SweepPayloadsFuture -> Result<u64, Error>
}
