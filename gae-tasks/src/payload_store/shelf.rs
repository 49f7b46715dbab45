//! A client's payload store with the operations of a client: many payloads at once, where a store
//! that hangs or panics does not harm the caller.

use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use super::store::PayloadStore;
use super::{LoadError, Loaded, load, marker};
use crate::attributes::Spilled;
use crate::clock::Clock;
use crate::error::Error;
use crate::outcome::BoxError;
use crate::task::{Kind, TaskId};
#[cfg(feature = "push")]
use crate::time::readable;
use crate::{log, unwind};

/// The most time for deleting or marking payloads of ended tasks: the rest is swept later.
const END_LIMIT: Duration = Duration::from_secs(5);

/// A payload store, and the clock that limits its operations.
#[derive(Debug, Clone)]
pub(crate) struct Shelf {
    pub(crate) store: Arc<dyn PayloadStore>,
    clock: Arc<dyn Clock>,
}

impl Shelf {
    /// The number of payloads that are put, loaded or deleted at the same time.
    pub(crate) const AT_ONCE: usize = 32;

    pub(crate) fn new(store: Arc<dyn PayloadStore>, clock: Arc<dyn Clock>) -> Self {
        Self { store, clock }
    }

    /// Puts payloads under their keys, in this order, several at the same time.
    ///
    /// # Errors
    /// The first error, and how many of the payloads may have been put by then.
    pub(crate) async fn put_all(
        &self,
        payloads: Vec<(String, Vec<u8>, Kind)>,
    ) -> Result<(), (usize, Error)> {
        let (mut payloads, mut tried) = (payloads.into_iter(), 0);
        loop {
            let some: Vec<_> = payloads.by_ref().take(Self::AT_ONCE).collect();
            if some.is_empty() {
                return Ok(());
            }
            tried += some.len();
            let answers =
                all(some.into_iter().map(|(key, payload, kind)| self.put(key, payload, kind)))
                    .await;
            answers.into_iter().collect::<Result<Vec<()>, _>>().map_err(|error| (tried, error))?;
        }
    }

    async fn put(&self, key: String, payload: Vec<u8>, kind: Kind) -> Result<(), Error> {
        let size = payload.len();
        // The store may be user code.
        let put = unwind::caught(pin!(Some(async { self.store.put(&key, payload).await }))).await;
        put.unwrap_or_else(|panic| {
            Err(format!(
                "the payload store panicked: {panic}"
            )
            .into())
        })
        .map_err(|source| Error::PayloadStore {
            store: self.store.name(),
            problem: format!(
                "did not store the payload of `{kind}` ({size} bytes), so the task is not stored: \
                 check that the store exists and that this program may write to it, and defer the \
                 task again"
            ),
            source,
        })
    }

    /// Loads payloads, all at the same time. A store that panics is one that does not answer.
    pub(crate) async fn load_all<'a>(
        &self,
        payloads: impl Iterator<Item = (TaskId, &'a Spilled)>,
    ) -> Vec<Result<Loaded, LoadError>> {
        let load = |(id, spilled)| async move {
            // The store may be user code.
            let loading = pin!(Some(load(Some(&*self.store), spilled, id, u64::MAX)));
            unwind::caught(loading).await.unwrap_or_else(|panic| {
                let source = format!("the payload store panicked: {panic}").into();
                Err(LoadError::Unavailable { store: self.store.name(), source })
            })
        };
        all(payloads.map(load)).await
    }

    /// Deletes payloads and returns their number; a payload that cannot be deleted is logged, and
    /// left to a sweep.
    pub(crate) async fn delete_all(&self, keys: &[String]) -> u64 {
        let mut deleted = 0;
        for some in keys.chunks(Self::AT_ONCE) {
            deleted += all(some.iter().map(|key| self.delete(key)))
                .await
                .into_iter()
                .map(u64::from)
                .sum::<u64>();
        }
        deleted
    }

    async fn delete(&self, key: &str) -> bool {
        // The store may be user code.
        let error = match unwind::caught(pin!(Some(async { self.store.delete(key).await }))).await {
            Ok(Ok(())) => return true,
            Ok(Err(error)) => crate::outcome::chain(error.as_ref()),
            Err(panic) => format!("the payload store panicked: {panic}"),
        };
        log::say(|| {
            let store = self.store.name();
            tracing::warn!(
                key,
                store,
                error,
                "cannot delete a payload that is no longer needed: it is left to a sweep"
            );
        });
        false
    }

    /// Deletes payloads of ended tasks; waits for the store, but not for long.
    pub(crate) async fn forget(&self, keys: &[String]) {
        if keys.is_empty() {
            return;
        }
        if tokio::runtime::Handle::try_current().is_err() {
            // There is no timer here.
            self.delete_all(keys).await;
            return;
        }
        tokio::select! {
            biased;
            _ = self.delete_all(keys) => {}
            () = self.clock.sleep(END_LIMIT) => log::say(|| {
                let (payloads, store) = (keys.len(), self.store.name());
                tracing::warn!(
                    payloads, store,
                    "deleting payloads takes too long: the rest is left to a sweep"
                );
            }),
        }
    }

    /// Overwrites the payload of a pushed task that is done with a marker; waits for the store, but
    /// not for long. Without the marker a repeated delivery would run the task again, which must be
    /// harmless anyway.
    #[cfg(feature = "push")]
    pub(crate) async fn mark_done(&self, key: &str) {
        let put = std::pin::pin!(Some(async { self.store.put(key, marker(key)).await }));
        let problem = tokio::select! {
            biased;
            put = unwind::caught(put) => match put {
                Ok(Ok(())) => return,
                Ok(Err(error)) => crate::outcome::chain(error.as_ref()),
                Err(panic) => format!("the payload store panicked: {panic}"),
            },
            () = self.clock.sleep(END_LIMIT) => format!(
                "writing the marker took longer than {}",
                readable(END_LIMIT)
            ),
        };
        log::say(|| {
            let store = self.store.name();
            tracing::warn!(
                key,
                store,
                problem,
                "a task is done, but its payload cannot be overwritten with a marker: if the queue \
                 delivers the task again, it runs again"
            );
        });
    }

    /// The keys in `keys` under which there is a marker instead of a payload.
    ///
    /// # Errors
    /// The store does not answer.
    pub(crate) async fn marked(&self, keys: Vec<String>) -> Result<Vec<String>, BoxError> {
        let mut marked = Vec::new();
        for some in keys.chunks(Self::AT_ONCE) {
            let answers = all(some.iter().map(|key| async move {
                let marker = marker(key);
                let found = self.store.get_at_most(key, marker.len() as u64).await?;
                Ok((found == Some(marker)).then(|| key.clone()))
            }));
            let answers: Result<Vec<_>, BoxError> = answers.await.into_iter().collect();
            marked.extend(answers?.into_iter().flatten());
        }
        Ok(marked)
    }

    /// Like [`forget`](Self::forget), in the background if there is a runtime; without pending work
    /// it finishes at once.
    pub(crate) async fn forget_beside(&self, keys: Vec<String>) {
        if keys.is_empty() {
            return;
        }
        let shelf = self.clone();
        let mut forgetting = Box::pin(async move { shelf.forget(&keys).await });
        match tokio::runtime::Handle::try_current() {
            Ok(runtime) => {
                let first =
                    std::future::poll_fn(|cx| Poll::Ready(forgetting.as_mut().poll(cx))).await;
                if first.is_pending() {
                    runtime.spawn(forgetting);
                }
            }
            Err(_) => forgetting.await,
        }
    }
}

/// Waits for all futures at once, without a runtime.
async fn all<F: Future>(futures: impl Iterator<Item = F>) -> Vec<F::Output> {
    let mut futures: Vec<_> = futures.map(Box::pin).collect();
    let mut answers: Vec<Option<F::Output>> = futures.iter().map(|_| None).collect();
    std::future::poll_fn(|cx| {
        let mut is_pending = false;
        for (future, answer) in
            futures.iter_mut().zip(&mut answers).filter(|(_, answer)| answer.is_none())
        {
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
