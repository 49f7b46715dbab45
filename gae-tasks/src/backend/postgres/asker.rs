//! Which worker asks for a lease.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use crate::backend::{Lease, Routes};
use crate::queue::QueueName;

/// A worker, or several that may take the same tasks.
#[derive(Debug)]
pub(super) struct Asker {
    ahead: Duration,
    queues: Arc<BTreeSet<QueueName>>,
    routes: Routes,
}

impl Asker {
    /// Returns who makes a request.
    pub(super) fn of(request: &Lease) -> Self {
        let (queues, routes) = (Arc::clone(&request.queues), request.routes.clone());
        Self { ahead: request.ahead, queues, routes }
    }

    /// Whether it makes this request.
    pub(super) fn asks(&self, request: &Lease) -> bool {
        let is_same = match (&self.routes, &request.routes) {
            (Routes::Any, Routes::Any) => true,
            (Routes::Only(one), Routes::Only(other)) => Arc::ptr_eq(one, other),
            (Routes::Read(one), Routes::Read(other)) => Arc::ptr_eq(one, other),
            _ => false,
        };
        is_same && self.ahead == request.ahead && Arc::ptr_eq(&self.queues, &request.queues)
    }
}
