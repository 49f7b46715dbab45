//! Payloads too large to travel with their tasks: settings, upload before a task is stored, deletion when that fails.

use std::sync::Arc;
use std::task::Poll;

use super::{Client, ClientBuilder};
use crate::attributes::{Attributes, Spilled};
use crate::backend::Capabilities;
use crate::defer::Prepared;
use crate::error::Error;
use crate::log;
use crate::payload_store::{IntoPayloadStore, PayloadStore};
use crate::task::{Deferred, TaskId};

/// Bytes of a payload that travels with its task; what Google tells for a task of Cloud Tasks.
const INLINE: usize = 100 * 1024;

/// Bytes of a payload that goes to a store.
const MOST: usize = 64 * 1024 * 1024;

/// How many payloads are put, or deleted, at the same time.
const AT_ONCE: usize = 16;

/// Where payloads go, and from which size on.
#[derive(Debug)]
pub(super) struct PayloadSettings {
    store: Option<Result<Arc<dyn PayloadStore>, Error>>,
    inline: usize,
    most: usize,
}

impl Default for PayloadSettings {
    fn default() -> Self {
        Self { store: None, inline: INLINE, most: MOST }
    }
}

impl PayloadSettings {
    /// The settings, if a store that was given can be had.
    pub(super) fn open(self) -> Result<Payloads, Error> {
        let Self { store, inline, most } = self;
        Ok(Payloads { store: store.transpose()?, inline, most })
    }
}

/// What became of the settings.
#[derive(Debug)]
pub(super) struct Payloads {
    pub(super) store: Option<Arc<dyn PayloadStore>>,
    inline: usize,
    most: usize,
}

impl Default for Payloads {
    fn default() -> Self {
        Self { store: None, inline: INLINE, most: MOST }
    }
}

impl ClientBuilder {
    /// Where payloads go that are larger than the [inline limit](Self::inline_payload): a folder or an object store by
    /// its URL, an `Arc<dyn ObjectStore>` (feature `object-store` for both), or any
    /// [`PayloadStore`](crate::payload_store::PayloadStore). Those who defer and those who run the tasks need the same
    /// one. None by default: such payloads are refused then.
    ///
    /// Each is loaded whole for its attempt. [`Client::sweep_payloads`] deletes what is left over; call it every day or
    /// so.
    ///
    /// | URL | what it is |
    /// |---|---|
    /// | `file:///FOLDER` | a folder, made if missing |
    /// | `gs://BUCKET/PREFIX` | Google Cloud Storage (feature `gcs`), with the credentials of the environment |
    /// | `memory:` | a new, empty store in this process |
    ///
    /// If it cannot be had, `open` and `build` say so.
    pub fn payload_store(mut self, store: impl IntoPayloadStore) -> Self {
        self.payloads.store = Some(store.into_payload_store());
        self
    }

    /// Up to how many bytes a payload travels with its task though there is a payload store; 100 KiB by default, and
    /// never more than the backend takes.
    pub fn inline_payload(mut self, bytes: usize) -> Self {
        self.payloads.inline = bytes;
        self
    }

    /// How many bytes a payload may have that goes to the payload store; 64 MiB by default. Every attempt has its
    /// payload in memory while it is decoded.
    pub fn max_payload(mut self, bytes: usize) -> Self {
        self.payloads.most = bytes;
        self
    }
}

impl Payloads {
    /// The store for a payload of so many bytes; `None` if it travels with its task.
    ///
    /// # Errors
    /// The limit, if it is larger than that.
    pub(super) fn store_for(&self, size: usize, backend: &Capabilities) -> Result<Option<&dyn PayloadStore>, usize> {
        match &self.store {
            None if size > backend.max_payload => Err(backend.max_payload),
            None => Ok(None),
            Some(_) if size <= self.inline.min(backend.max_payload) => Ok(None),
            Some(_) if size > self.most => Err(self.most),
            Some(store) => Ok(Some(store.as_ref())),
        }
    }
}

impl Client {
    /// The store for a payload of so many bytes; `None` if it travels with its task.
    ///
    /// # Errors
    /// The limit, if it is larger than that.
    pub(crate) fn store_for(&self, size: usize) -> Result<Option<&dyn PayloadStore>, usize> {
        self.0.payloads.store_for(size, &self.0.capabilities)
    }

    pub(super) fn payload_store(&self) -> Option<&Arc<dyn PayloadStore>> {
        self.0.payloads.store.as_ref()
    }

    /// Stores a task after its payload.
    pub(crate) async fn enqueue_spilled(&self, mut prepared: Prepared) -> Result<Deferred, Error> {
        let spilled = [prepared.spilled.clone()];
        self.put(&mut prepared).await?;
        let answer = self.enqueue_one(prepared).await;
        self.delete_unneeded(&spilled, std::slice::from_ref(&answer)).await;
        answer
    }

    /// Puts the payloads of those that have one to be put. If that fails for one, none is kept.
    pub(super) async fn put_all(&self, prepared: &mut [Prepared]) -> Result<(), Error> {
        let mut put = Vec::new();
        for some in prepared.chunks_mut(AT_ONCE) {
            let spilled = some.iter().filter_map(|task| task.spilled.clone()).collect::<Vec<_>>();
            let answers = all(some.iter_mut().filter(|task| task.spilled.is_some()).map(|task| self.put(task))).await;
            put.extend(spilled);
            if let Some(error) = answers.into_iter().find_map(Result::err) {
                self.delete_payloads(put.iter()).await;
                return Err(error);
            }
        }
        Ok(())
    }

    async fn put(&self, prepared: &mut Prepared) -> Result<(), Error> {
        let (Some(spilled), Some(store)) = (&prepared.spilled, self.payload_store()) else { return Ok(()) };
        let payload = std::mem::take(&mut prepared.task.payload);
        let size = payload.len();
        store.put(&spilled.key, payload).await.map_err(|source| Error::PayloadStore {
            store: store.name(),
            problem: format!(
                "did not take the payload of `{}` ({size} bytes), so the task is not stored: see that the store is there \
                 and that this program may write to it, and defer again",
                prepared.task.spec.kind
            ),
            source,
        })
    }

    /// Deletes the payloads of tasks that were certainly not stored.
    pub(super) async fn delete_unneeded(&self, spilled: &[Option<Spilled>], answers: &[Result<Deferred, Error>]) {
        let is_unneeded = |answer: &Result<Deferred, Error>| match answer {
            Ok(deferred) => !deferred.created,
            Err(error) => is_certain(error),
        };
        let unneeded = spilled.iter().zip(answers).filter(|(_, answer)| is_unneeded(answer));
        self.delete_payloads(unneeded.filter_map(|(spilled, _)| spilled.as_ref())).await;
    }

    /// As [`delete_unneeded`](Self::delete_unneeded), where one error is the answer for all.
    pub(super) async fn delete_if_certain(&self, spilled: &[Option<Spilled>], error: &Error) {
        let unneeded = spilled.iter().flatten().filter(|_| is_certain(error));
        self.delete_payloads(unneeded).await;
    }

    /// Deletes payloads; one that cannot be deleted is told of, and left to a sweep. Answers how many were deleted.
    pub(super) async fn delete_payloads(&self, spilled: impl Iterator<Item = &Spilled>) -> u64 {
        let keys: Vec<_> = spilled.map(|spilled| spilled.key.as_str()).collect();
        self.delete_keys(&keys).await
    }

    pub(super) async fn delete_keys(&self, keys: &[&str]) -> u64 {
        let Some(store) = self.payload_store() else { return 0 };
        let mut deleted = 0;
        for some in keys.chunks(AT_ONCE) {
            for (key, answer) in some.iter().zip(all(some.iter().map(|key| store.delete(key))).await) {
                match answer {
                    Ok(()) => deleted += 1,
                    Err(error) => {
                        let (store, error) = (store.name(), crate::outcome::chain(error.as_ref()));
                        log::say(|| {
                            tracing::warn!(
                                key,
                                store,
                                error,
                                "cannot delete a payload that nothing needs: it is left to a sweep"
                            );
                        });
                    }
                }
            }
        }
        deleted
    }

    /// Where the payload of a stored task is, if this client could delete it; errors are those of what comes next.
    pub(super) async fn spilled_of(&self, id: TaskId) -> Option<Spilled> {
        self.payload_store()?;
        Attributes::spilled_in(self.backend().get(id).await.ok()??.spec.attributes.as_deref())
    }
}

/// Whether a task was certainly not stored that this is the answer for. Where the storage failed perhaps only its answer
/// was lost: a task without its payload would be worse than a payload too many.
const fn is_certain(error: &Error) -> bool {
    !matches!(error, Error::Storage { .. })
}

/// Waits for all of them at once, without a runtime.
async fn all<F: Future>(futures: impl Iterator<Item = F>) -> Vec<F::Output> {
    let mut futures: Vec<_> = futures.map(Box::pin).collect();
    let mut answers: Vec<Option<F::Output>> = futures.iter().map(|_| None).collect();
    std::future::poll_fn(|cx| {
        let mut is_pending = false;
        for (future, answer) in futures.iter_mut().zip(&mut answers).filter(|(_, answer)| answer.is_none()) {
            match future.as_mut().poll(cx) {
                Poll::Ready(ready) => *answer = Some(ready),
                Poll::Pending => is_pending = true,
            }
        }
        if is_pending { Poll::Pending } else { Poll::Ready(()) }
    })
    .await;
    answers.into_iter().flatten().collect()
}
