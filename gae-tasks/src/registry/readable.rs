//! What a worker answers to a backend: which routes the tasks of a registry can read.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use super::Registry;
use crate::backend::{ReaderId, ReadsRoutes};
use crate::task::Route;

/// The routes that the tasks of a registry can read.
#[derive(Debug)]
pub(crate) struct Readable {
    registry: Arc<Registry>,
    /// The routes of which it has said so.
    said: Mutex<HashSet<Route>>,
}

impl Readable {
    pub(crate) fn new(registry: Arc<Registry>) -> Self {
        Self { registry, said: Mutex::default() }
    }

    /// Whether it has said that tasks of `route` can be read.
    pub(crate) fn has_said(&self, route: &Route) -> bool {
        self.said.lock().unwrap_or_else(PoisonError::into_inner).contains(route)
    }
}

impl ReadsRoutes for Readable {
    fn reader(&self, route: &Route, schema: Option<&[u8]>) -> Option<ReaderId> {
        let routed = self.registry.find(route.kind().as_str(), route.shape(), schema)?;
        let reader = routed.reader().ok()?;
        self.said.lock().unwrap_or_else(PoisonError::into_inner).insert(route.clone());
        Some(reader)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registration::Registration;
    use crate::task::{Kind, Shape};

    static TASK: Registration = Registration::for_test();

    #[test]
    fn a_worker_knows_of_which_routes_it_has_said_that_it_reads_them() {
        let readable = Readable::new(Arc::new(Registry::of(vec![&TASK])));
        let route = |shape| Route::new(Kind::from_static("shop/send"), shape);
        let (own, other) = (route(TASK.shape().unwrap()), route(Shape::from_bits(7)));
        assert!(!readable.has_said(&own));
        assert_eq!(readable.reader(&own, None), TASK.reader().ok());
        assert_eq!(readable.reader(&other, None), None);
        assert!(readable.has_said(&own) && !readable.has_said(&other));
    }
}
