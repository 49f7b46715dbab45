//! The keys of spilled payloads of tasks leased here, known until the tasks' outcomes are recorded.

use std::collections::HashMap;

use crate::backend::LeaseRef;

/// The least number of keys that are kept: a sweep of payloads deletes the payloads of forgotten
/// keys.
const MOST: usize = 100_000;

/// The keys of payloads by the leases of their tasks. A lease whose end is not seen is forgotten
/// after many newer ones.
#[derive(Debug, Default)]
pub(super) struct LeasedKeys {
    young: HashMap<LeaseRef, String>,
    old: HashMap<LeaseRef, String>,
}

impl LeasedKeys {
    pub(super) fn insert(&mut self, lease: LeaseRef, key: String) {
        if self.young.len() >= MOST {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(lease, key);
    }

    /// Forgets a lease; returns its key.
    pub(super) fn remove(&mut self, lease: &LeaseRef) -> Option<String> {
        self.young.remove(lease).or_else(|| self.old.remove(lease))
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.young.len() + self.old.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::LeaseToken;
    use crate::task::TaskId;

    fn lease(number: i64) -> LeaseRef {
        LeaseRef::new(TaskId::from_bytes([1; 16]), LeaseToken::from_bits(number))
    }

    #[test]
    fn the_oldest_are_forgotten_where_there_are_too_many() {
        let (mut keys, most) = (LeasedKeys::default(), i64::try_from(MOST).unwrap());
        (0..3 * most).for_each(|number| keys.insert(lease(number), String::new()));
        assert_eq!(keys.len(), 2 * MOST);
        assert!(keys.remove(&lease(0)).is_none() && keys.remove(&lease(most)).is_some());
        assert!(keys.remove(&lease(3 * most - 1)).is_some());
    }
}
