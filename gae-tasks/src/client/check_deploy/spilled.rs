//! Loads the payloads that are in a payload store, as far as a check before a deploy may.

use std::collections::BTreeMap;
use std::time::Duration;

use super::super::Client;
use crate::attributes::{Attributes, Spilled};
use crate::backend::Sampled;
use crate::outcome::chain;
use crate::payload_store::{LoadError, Loaded, Shelf};
use crate::task::TaskId;
use crate::time::readable;

/// How long the store may take for the payloads of a route.
const TIME: Duration = Duration::from_secs(60);

/// What became of a payload that is in a payload store.
#[derive(Debug)]
pub(super) enum Fetched {
    Payload(Vec<u8>),
    /// An attempt has done the task, so none reads the payload.
    Done,
    /// No attempt would find it.
    Lost(String),
    /// It was not loaded.
    Unread(String),
}

/// What became of the payloads, by the places of their tasks in the sample.
pub(super) type InStore = BTreeMap<usize, Fetched>;

/// The payloads that may be loaded.
struct Wanted<'a> {
    shelf: &'a Shelf,
    payloads: Vec<(usize, TaskId, Spilled)>,
}

/// Loads the payloads of a sample that are in the client's payload store, about as many `bytes`.
pub(super) async fn fetch(client: &Client, sampled: &Sampled, bytes: usize) -> InStore {
    let mut found = InStore::new();
    let spilled = sampled.records.iter().enumerate().filter_map(|(place, record)| {
        let spilled = Attributes::spilled_in(record.spec.attributes.as_deref())?;
        Some((place, record.spec.id, spilled))
    });
    let Some(shelf) = client.shelf() else {
        let why = |put_into| LoadError::NoStore { put_into }.to_string();
        found.extend(spilled.map(|(place, _, it)| (place, Fetched::Unread(why(it.store)))));
        return found;
    };
    let mut left = bytes.saturating_sub(sampled.bytes()) as u64;
    let mut wanted = Wanted { shelf, payloads: Vec::new() };
    for (place, id, spilled) in spilled {
        match left.checked_sub(spilled.length) {
            Some(rest) => {
                left = rest;
                wanted.payloads.push((place, id, spilled));
            }
            None => _ = found.insert(place, Fetched::Unread(beyond(bytes))),
        }
    }
    wanted.load(client, &mut found).await;
    found
}

fn beyond(bytes: usize) -> String {
    format!("at most {} MiB of payloads of a route are read", bytes >> 20)
}

impl Wanted<'_> {
    /// Loads some at a time, until the store fails or takes too long.
    async fn load(self, client: &Client, found: &mut InStore) {
        let mut time = client.clock().sleep(TIME);
        let mut ended = None;
        for some in self.payloads.chunks(Shelf::AT_ONCE) {
            let names = some.iter().map(|(_, id, spilled)| (*id, spilled));
            let loaded = match &ended {
                Some(_) => None,
                None => tokio::select! {
                    biased;
                    loaded = self.shelf.load_all(names) => Some(loaded),
                    () = &mut time => {
                        let (store, time) = (self.shelf.store.name(), readable(TIME));
                        ended = Some(format!("the payload store `{store}` takes more than {time}"));
                        None
                    }
                },
            };
            let Some(loaded) = loaded else {
                let why = || Fetched::Unread(ended.clone().unwrap_or_default());
                found.extend(some.iter().map(|(place, ..)| (*place, why())));
                continue;
            };
            for ((place, ..), loaded) in some.iter().zip(loaded) {
                if let Err(LoadError::Unavailable { .. }) = &loaded {
                    ended = loaded.as_ref().err().map(|error| chain(error));
                }
                found.insert(*place, fetched(loaded));
            }
        }
    }
}

/// The words have no key, so that payloads with the same fate are counted together.
fn fetched(loaded: Result<Loaded, LoadError>) -> Fetched {
    match loaded {
        Ok(Loaded::Payload(payload)) => Fetched::Payload(payload),
        Ok(Loaded::Done) => Fetched::Done,
        Err(LoadError::Missing { store, .. }) => {
            Fetched::Lost(format!("the payload is missing in the payload store `{store}`"))
        }
        Err(LoadError::Damaged { store, .. }) => Fetched::Lost(format!(
            "the payload in the payload store `{store}` was truncated or changed after it was stored"
        )),
        Err(LoadError::Foreign { .. }) => {
            Fetched::Lost("the task names a payload that belongs to another task".to_owned())
        }
        Err(error) => Fetched::Unread(chain(&error)),
    }
}
