//! Who serves which queues in this process: a queue has workers or relays, never both.

use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::backend::Home;
use crate::queue::QueueName;

/// What serves a queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// Runs its tasks.
    Worker,
    /// Creates its tasks elsewhere.
    Relay,
}

/// A storage, as far as this process can distinguish two.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Place {
    /// The same for all clients of a file or database.
    Home(Home),
    /// Of one client: the address of what its clones share.
    Client(usize),
}

/// The queues that are served now.
static SERVED: Mutex<Vec<Served>> = Mutex::new(Vec::new());

#[derive(Debug, Clone, PartialEq, Eq)]
struct Served {
    place: Place,
    queue: QueueName,
    role: Role,
}

/// Serves queues until it is dropped.
#[derive(Debug)]
pub(super) struct Serving(Vec<Served>);

impl Serving {
    /// Begins to serve queues of a storage.
    ///
    /// # Errors
    /// The queues that are served in the other role.
    pub(super) fn begin<'a>(
        place: &Place,
        role: Role,
        queues: impl IntoIterator<Item = &'a QueueName>,
    ) -> Result<Self, BTreeSet<QueueName>> {
        let mut served = lock();
        let of = |queue: &QueueName| Served { place: place.clone(), queue: queue.clone(), role };
        let wanted: Vec<_> = queues.into_iter().map(of).collect();
        let is_taken = |wanted: &&Served| {
            let other = |other: &Served| other.role != role && other.queue == wanted.queue;
            served.iter().any(|one| other(one) && one.place.is(place))
        };
        let taken: BTreeSet<_> =
            wanted.iter().filter(is_taken).map(|one| one.queue.clone()).collect();
        if !taken.is_empty() {
            return Err(taken);
        }
        served.extend(wanted.iter().cloned());
        Ok(Self(wanted))
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        let mut served = lock();
        for one in &self.0 {
            if let Some(place) = served.iter().position(|other| other == one) {
                served.swap_remove(place);
            }
        }
    }
}

impl Place {
    fn is(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Home(one), Self::Home(other)) => one.is(other),
            _ => self == other,
        }
    }
}

fn lock() -> MutexGuard<'static, Vec<Served>> {
    SERVED.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn begin(client: usize, role: Role, queue: &str) -> Result<Serving, BTreeSet<QueueName>> {
        // An address that no client has.
        Serving::begin(&Place::Client(client), role, [&QueueName::new(queue).unwrap()])
    }

    #[test]
    fn a_queue_has_workers_or_relays() {
        let worker = begin(1, Role::Worker, "a").unwrap();
        let second = begin(1, Role::Worker, "a").unwrap();
        let taken = begin(1, Role::Relay, "a").unwrap_err();
        assert_eq!(taken.into_iter().collect::<Vec<_>>(), [QueueName::new("a").unwrap()]);
        let others = (begin(1, Role::Relay, "b").unwrap(), begin(2, Role::Relay, "a").unwrap());
        drop(worker);
        assert!(begin(1, Role::Relay, "a").is_err(), "one worker is left");
        drop((second, others));
        let relay = begin(1, Role::Relay, "a").unwrap();
        assert!(begin(1, Role::Worker, "a").is_err());
        drop(relay);
        assert!(begin(1, Role::Worker, "a").is_ok());
    }
}
