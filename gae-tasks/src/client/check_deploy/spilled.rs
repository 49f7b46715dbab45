//! Loads the payloads that are in a payload store, as far as a check before a deploy may.

use std::collections::BTreeMap;
use std::time::Duration;

use super::super::Client;
use crate::attributes::{Attributes, Spilled};
use crate::backend::Sampled;
use crate::error::Error;
use crate::outcome::chain;
use crate::payload_store::{LoadError, Loaded, Shelf};
use crate::task::TaskId;
use crate::time::readable;

/// How long the store may take for all payloads of a check.
const TIME: Duration = Duration::from_secs(60);

/// What became of a payload that is in a payload store.
#[derive(Debug)]
pub(super) enum Fetched {
    Payload(Vec<u8>),
    /// The task has ended, so no attempt reads the payload.
    Done,
    /// No attempt of this program would find it.
    Lost(String),
    /// It was not loaded, as the limit of bytes was reached.
    Unread(String),
    /// It was not loaded, as the store failed or took too long.
    Unavailable(String),
}

/// What became of the payloads, by the places of their tasks in the sample.
pub(super) type InStore = BTreeMap<usize, Fetched>;

/// The payload store in one check: a store that fails or is slow is asked no more for any route.
#[derive(Debug)]
pub(super) struct Loading {
    /// The time that the store may still take.
    left: Duration,
    /// Why it is asked no more.
    ended: Option<String>,
}

/// A payload that may be loaded: the place of its task in the sample, and the task.
type Wanted = (usize, TaskId, Spilled);

impl Loading {
    pub(super) const fn new() -> Self {
        Self { left: TIME, ended: None }
    }

    /// Loads the payloads of a sample that are in the client's payload store, about as many
    /// `bytes`.
    ///
    /// # Errors
    /// The backend does not say whether a task is still stored.
    pub(super) async fn fetch(
        &mut self,
        client: &Client,
        sampled: &Sampled,
        bytes: usize,
    ) -> Result<InStore, Error> {
        let mut found = InStore::new();
        let spilled = sampled.records.iter().enumerate().filter_map(|(place, record)| {
            let spilled = Attributes::spilled_in(record.spec.attributes.as_deref())?;
            Some((place, record.spec.id, spilled))
        });
        let Some(shelf) = client.shelf() else {
            found.extend(spilled.map(|(place, _, it)| (place, Fetched::Lost(no_store(&it.store)))));
            return Ok(found);
        };
        let mut left = bytes.saturating_sub(sampled.bytes()) as u64;
        let mut wanted = Vec::new();
        for (place, id, spilled) in spilled {
            match left.checked_sub(spilled.length) {
                Some(rest) => {
                    left = rest;
                    wanted.push((place, id, spilled));
                }
                None => _ = found.insert(place, Fetched::Unread(beyond(bytes))),
            }
        }
        for some in wanted.chunks(Shelf::AT_ONCE) {
            match self.load(client, shelf, some).await {
                Ok(loaded) => found.extend(judge(client, some, loaded).await?),
                Err(why) => {
                    let unavailable =
                        |(place, ..): &Wanted| (*place, Fetched::Unavailable(why.clone()));
                    found.extend(some.iter().map(unavailable));
                }
            }
        }
        Ok(found)
    }

    /// Loads some payloads; an error is why the store is asked no more.
    async fn load(
        &mut self,
        client: &Client,
        shelf: &Shelf,
        some: &[Wanted],
    ) -> Result<Vec<Result<Loaded, LoadError>>, String> {
        if let Some(why) = &self.ended {
            return Err(why.clone());
        }
        let started = client.clock().monotonic();
        let loaded = tokio::select! {
            biased;
            loaded = shelf.load_all(some.iter().map(|(_, id, spilled)| (*id, spilled))) => loaded,
            () = client.clock().sleep(self.left) => {
                let (store, time) = (shelf.store.name(), readable(TIME));
                let why = format!("the payload store `{store}` takes more than {time}");
                return Err(self.ended.insert(why).clone());
            }
        };
        let taken = client.clock().monotonic().saturating_sub(started);
        self.left = self.left.saturating_sub(taken);
        self.ended = loaded.iter().find_map(|loaded| match loaded {
            Err(error @ LoadError::Unavailable { .. }) => Some(chain(error)),
            _ => None,
        });
        Ok(loaded)
    }
}

/// What became of payloads. One that is missing may be that of a task which has ended since it was
/// sampled: its payload is deleted after it.
async fn judge(
    client: &Client,
    some: &[Wanted],
    loaded: Vec<Result<Loaded, LoadError>>,
) -> Result<Vec<(usize, Fetched)>, Error> {
    let is_missing = |loaded: &_| matches!(loaded, Err(LoadError::Missing { .. }));
    let pairs = || some.iter().zip(&loaded);
    let missing: Vec<_> =
        pairs().filter(|(_, loaded)| is_missing(loaded)).map(|((_, id, _), _)| *id).collect();
    let stored =
        if missing.is_empty() { missing } else { client.backend().stored(missing).await? };
    let fate = |((place, id, _), loaded): (&Wanted, _)| match is_missing(&loaded) {
        true if !stored.contains(id) => (*place, Fetched::Done),
        _ => (*place, fetched(loaded)),
    };
    Ok(some.iter().zip(loaded).map(fate).collect())
}

fn beyond(bytes: usize) -> String {
    format!("at most {} MiB of payloads of a route are read", bytes >> 20)
}

fn no_store(put_into: &str) -> String {
    format!(
        "this program has no payload store, the payload is in `{put_into}`: add \
         `.payload_store(..)` to its builder"
    )
}

/// The words have no key, so that payloads with the same fate are counted together.
fn fetched(loaded: Result<Loaded, LoadError>) -> Fetched {
    match loaded {
        Ok(Loaded::Payload(payload)) => Fetched::Payload(payload),
        Ok(Loaded::Done) => Fetched::Done,
        Err(LoadError::NoStore { put_into }) => Fetched::Lost(no_store(&put_into)),
        Err(LoadError::Elsewhere { store, put_into }) => Fetched::Lost(format!(
            "the payload store of this program is `{store}`, the payload is in `{put_into}`: use \
             the same for both"
        )),
        Err(LoadError::Missing { store, .. }) => {
            Fetched::Lost(format!("the payload is missing in the payload store `{store}`"))
        }
        Err(LoadError::Damaged { store, .. }) => Fetched::Lost(format!(
            "the payload in the payload store `{store}` was truncated or changed after it was \
             stored"
        )),
        Err(LoadError::Foreign { .. }) => {
            Fetched::Lost("the task names a payload that belongs to another task".to_owned())
        }
        Err(error @ (LoadError::Unavailable { .. } | LoadError::TooLarge { .. })) => {
            Fetched::Unavailable(chain(&error))
        }
    }
}
