//! When a runner is kept free for tasks that are leased only to be started at once: those of queues
//! with limits.
//!
//! Tasks that were leased ahead keep all runners busy, so a task of a queue with limits would never
//! find a free one. These queues together therefore take a turn among the queues whose tasks were
//! leased ahead: the runner whose turn it is takes no such task, and the worker leases for it.

/// Whose turn the next free runner is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Reserve {
    /// Whether tasks of queues with limits are due that found no free runner.
    is_wanted: bool,
    /// Whether the last free runner is kept.
    is_kept: bool,
    /// The number of other tasks that have started since a lease for queues with limits only;
    /// `None` if another lease came after it.
    others: Option<usize>,
}

impl Reserve {
    /// Records that a task of another queue has started.
    pub(super) fn passed(&mut self) {
        self.others = self.others.map(|others| others.saturating_add(1));
    }

    /// Keeps the last free runner, if it is the turn of queues with limits among so many other
    /// `queues` that have tasks waiting; returns whether the runner is kept.
    pub(super) fn keep(&mut self, queues: usize) -> bool {
        let is_turn = self.others.is_none_or(|others| others >= queues.max(1));
        self.is_kept |= self.is_wanted && is_turn;
        self.is_kept
    }

    /// Records the answer of a lease: whether the lease was for queues with limits only, and
    /// whether such queues have more tasks due. Returns whether the runner that was kept is free
    /// for others now.
    pub(super) fn answered(&mut self, is_reserved: bool, is_wanted: bool) -> bool {
        let was_kept = self.is_kept;
        self.is_wanted = is_wanted;
        self.is_kept &= is_wanted && !is_reserved;
        self.others = is_reserved.then_some(0);
        was_kept && !self.is_kept
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn no_runner_is_kept_unless_tasks_wait_for_one() {
        let mut reserve = Reserve::default();
        assert!(!reserve.keep(0) && !reserve.keep(3));
        assert!(!reserve.answered(false, true));
        assert!(reserve.keep(3));
    }

    #[test]
    fn a_kept_runner_is_let_go_by_the_answer_for_it_or_if_nothing_waits_any_more() {
        for (is_reserved, is_wanted, is_let_go) in
            [(true, true, true), (true, false, true), (false, true, false), (false, false, true)]
        {
            let mut reserve = Reserve::default();
            reserve.answered(false, true);
            assert!(reserve.keep(1));
            assert_eq!(reserve.answered(is_reserved, is_wanted), is_let_go);
        }
    }

    #[test]
    fn after_its_turn_every_other_queue_has_one() {
        let mut reserve = Reserve::default();
        reserve.answered(true, true);
        for _ in 0..3 {
            assert!(!reserve.keep(3));
            reserve.passed();
        }
        assert!(reserve.keep(3), "three other tasks have started");
    }

    #[test]
    fn a_lease_for_all_queues_was_a_turn_of_the_others() {
        let mut reserve = Reserve::default();
        reserve.answered(true, true);
        assert!(!reserve.keep(9));
        reserve.answered(false, true);
        assert!(reserve.keep(9));
    }

    proptest! {
        /// One runner that always finds tasks of `queues` queues and of a queue with limits: in the
        /// long run each has the same share.
        #[test]
        fn queues_with_limits_have_the_share_of_a_queue(queues in 1..20_usize) {
            let (mut reserve, mut limited, mut others) = (Reserve::default(), 0, 0);
            reserve.answered(false, true);
            for _ in 0..queues * 100 {
                if reserve.keep(queues) {
                    limited += 1;
                    reserve.answered(true, true);
                } else {
                    others += 1;
                    reserve.passed();
                }
            }
            prop_assert!(limited * queues >= others && (limited - 1) * queues <= others);
        }
    }
}
