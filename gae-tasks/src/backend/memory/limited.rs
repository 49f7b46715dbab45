//! What is stored of a queue with limits.

use crate::queue::Bucket;

/// What is stored of a queue with limits.
#[derive(Default)]
pub(super) struct Limited {
    /// `None` is a full bucket.
    pub(super) bucket: Option<Bucket>,
    /// The number of leases that count.
    pub(super) live: usize,
}
