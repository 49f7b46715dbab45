//! The keys of spilled payloads of tasks that are leased here: known until their outcomes are
//! recorded.

use std::collections::HashMap;

use crate::backend::LeaseRef;

/// So many are kept at least: what is forgotten after that is left to a sweep of payloads.
const MOST: usize = 100_000;

/// The keys of payloads by the leases of their tasks. A lease whose end nobody sees is forgotten
/// after many others.
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

    /// Forgets a lease; answers with the key.
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
