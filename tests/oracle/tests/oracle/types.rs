//! What generated types are made of.

use std::collections::HashMap;
use std::fmt;
use std::hash::Hash;

pub(crate) use std::collections::BTreeMap;

pub(crate) use serde::{Deserialize, Serialize};

/// A `HashMap` that shows its entries in an order of their own.
#[derive(Default, Serialize, Deserialize)]
#[serde(bound(deserialize = "K: Deserialize<'de> + Eq + Hash, V: Deserialize<'de>"))]
pub(crate) struct Table<K, V>(HashMap<K, V>);

impl<K: fmt::Debug, V: fmt::Debug> fmt::Debug for Table<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut entries: Vec<_> = self.0.iter().map(|entry| format!("{entry:?}")).collect();
        entries.sort();
        f.debug_set().entries(entries).finish()
    }
}
