//! A payload store in memory whose keys can be listed, and whose reads can hang.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use gae_tasks::Timestamp;
use gae_tasks::payload_store::{PayloadStore, Stored};

/// Clones are the same store.
#[derive(Debug, Clone, Default)]
pub(crate) struct Shelf(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    kept: Mutex<BTreeMap<String, Vec<u8>>>,
    hangs: AtomicBool,
    refuses: AtomicBool,
}

impl Shelf {
    pub(crate) fn kept(&self) -> MutexGuard<'_, BTreeMap<String, Vec<u8>>> {
        self.0.kept.lock().unwrap()
    }

    pub(crate) fn keys(&self) -> Vec<String> {
        self.kept().keys().cloned().collect()
    }

    /// Makes reads hang from now on.
    pub(crate) fn hang(&self) {
        self.0.hangs.store(true, Ordering::Relaxed);
    }

    /// Sets whether puts are refused from now on.
    pub(crate) fn refuse(&self, refuses: bool) {
        self.0.refuses.store(refuses, Ordering::Relaxed);
    }
}

impl PayloadStore for Shelf {
    fn name(&self) -> String {
        "shelf".to_owned()
    }

    fn put<'a>(&'a self, key: &'a str, payload: Vec<u8>) -> Stored<'a, ()> {
        if self.0.refuses.load(Ordering::Relaxed) {
            return Box::pin(async { Err("the shelf is full".into()) });
        }
        self.kept().insert(key.to_owned(), payload);
        Box::pin(async { Ok(()) })
    }

    fn get<'a>(&'a self, key: &'a str) -> Stored<'a, Option<Vec<u8>>> {
        if self.0.hangs.load(Ordering::Relaxed) {
            return Box::pin(std::future::pending());
        }
        let found = self.kept().get(key).cloned();
        Box::pin(async { Ok(found) })
    }

    fn delete<'a>(&'a self, key: &'a str) -> Stored<'a, ()> {
        self.kept().remove(key);
        Box::pin(async { Ok(()) })
    }

    fn put_before(&self, _: Timestamp) -> Stored<'_, Vec<String>> {
        let all = self.keys();
        Box::pin(async { Ok(all) })
    }
}
