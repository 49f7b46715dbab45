//! What came of taking from what a scan has found.

/// What came of taking from one choice.
#[derive(Debug, Default)]
pub(super) struct Pass {
    has_asked: bool,
    has_taken: bool,
}

impl Pass {
    /// Whether queues were asked for tasks.
    pub(super) const fn has_asked(&self) -> bool {
        self.has_asked
    }

    /// Whether tasks were taken. Then another look may find more, and shows what is left.
    pub(super) const fn has_taken(&self) -> bool {
        self.has_taken
    }

    /// Notes how many tasks a statement has taken. A queue that gave less than it was asked for may
    /// have tasks that others have locked.
    pub(super) fn note(&mut self, taken: usize) {
        self.has_asked = true;
        self.has_taken |= taken > 0;
    }

    /// Whether due tasks were not to be had although there is room.
    pub(super) const fn leaves_due(&self) -> bool {
        self.has_asked && !self.has_taken
    }
}
