//! Key ids for which the issuer is known to have no key.

use std::collections::HashMap;
use std::time::Duration;

/// The time for which an unknown id is not asked for again.
const KEPT: Duration = Duration::from_secs(30);

/// The most ids that are remembered; for further ids, the pause between fetches bounds the cost.
const MAX_IDS: usize = 256;

/// Key ids without a key, each with the end of its time. Bounded in number, as the ids are in
/// length.
#[derive(Default)]
pub(super) struct Unknown(HashMap<String, Duration>);

impl Unknown {
    pub(super) fn has(&self, id: &str, now: Duration) -> bool {
        self.0.get(id).is_some_and(|until| now < *until)
    }

    pub(super) fn insert(&mut self, id: &str, now: Duration) {
        if self.0.len() >= MAX_IDS {
            self.0.retain(|_, until| now < *until);
        }
        if self.0.len() >= MAX_IDS {
            self.0.clear();
        }
        self.0.insert(id.to_owned(), now + KEPT);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_forgotten_after_a_while() {
        let mut unknown = Unknown::default();
        unknown.insert("a", Duration::ZERO);
        assert!(unknown.has("a", KEPT - Duration::from_secs(1)));
        assert!(!unknown.has("a", KEPT));
        assert!(!unknown.has("b", Duration::ZERO));
    }

    #[test]
    fn a_flood_of_ids_is_not_all_remembered() {
        let mut unknown = Unknown::default();
        for id in 0..10_000 {
            unknown.insert(&id.to_string(), Duration::ZERO);
            assert!(unknown.has(&id.to_string(), Duration::ZERO));
            assert!(unknown.0.len() <= MAX_IDS);
        }
    }
}
