//! What a check before a deploy has found, as data.

use crate::backend::{Stats, UnreadQueue};
use crate::queue::QueueName;
use crate::task::Route;

/// What a [check before a deploy](crate::Client::check_deploy) has found.
///
/// `Display` shows it as text: the totals in the first line, then each route in a line, what is
/// stranded first. Values of payloads are in no line.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct DeployReport {
    /// The routes of which tasks are stored, ordered by queue, kind and shape.
    pub routes: Vec<DeployRoute>,
    /// The queues that this program may not read, or may not read the payloads of: their tasks are
    /// missing above, or have the verdict [`DeployVerdict::Unread`] or no values.
    pub unread: Vec<UnreadQueue>,
}

impl DeployReport {
    /// Whether this program runs every stored task that is not a dead letter, as far as values were
    /// read, every queue could be read, and [no payload store failed](DeployValues::store_failed).
    ///
    /// Dead letters do not count: they run only if somebody replays them.
    pub fn is_safe(&self) -> bool {
        self.unread.is_empty() && !self.routes.iter().any(DeployRoute::is_problem)
    }

    /// Returns the number of waiting and leased tasks that this program does not run: those of
    /// routes that are stranded or unread, and those whose values were read and do not fit.
    pub fn stranded(&self) -> u64 {
        self.routes.iter().map(DeployRoute::stranded).sum()
    }
}

/// The stored tasks of one queue and route, and what becomes of them.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct DeployRoute {
    /// The queue.
    pub queue: QueueName,
    /// The route.
    pub route: Route,
    /// The number of tasks in each state.
    pub stats: Stats,
    /// What becomes of them.
    pub verdict: DeployVerdict,
    /// The payloads that were read.
    pub values: DeployValues,
}

impl DeployRoute {
    /// Returns the number of tasks that wait for a time of their own, or for the end of a pause.
    pub fn future(&self) -> u64 {
        self.stats.scheduled.saturating_sub(self.stats.due)
    }

    /// Returns the number of waiting and leased tasks that this program does not run.
    pub fn stranded(&self) -> u64 {
        match self.verdict {
            DeployVerdict::Strands { .. } | DeployVerdict::Unread => self.stats.open(),
            _ => self.values.failed,
        }
    }

    /// Whether tasks do not run, or are not known to.
    pub(super) fn is_problem(&self) -> bool {
        self.stranded() > 0 || self.values.store_failed
    }
}

/// What becomes of the stored tasks of a route.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum DeployVerdict {
    /// They have this program's own parameters.
    Runs,
    /// Their parameters differ, and are read by name.
    Resolves,
    /// An upgrade function makes args of their parameters.
    Upgrades {
        /// The path of the function, as `upgrade = [..]` has it.
        upgrade: &'static str,
        /// Whether their parameters are read by name into the struct that the function takes;
        /// otherwise they are exactly those of the struct.
        by_name: bool,
    },
    /// This program cannot run them: they wait for one that can.
    Strands {
        /// Why, and what to do.
        reason: String,
    },
    /// This program may not read their schema.
    Unread,
}

/// The payloads of one route that were read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct DeployValues {
    /// The number of payloads that were read.
    pub read: u64,
    /// The number of them that do not fit, of waiting and leased tasks. Those that this program
    /// would not find count too: they are missing in its payload store, or in another store.
    pub failed: u64,
    /// The number of them that do not fit, of dead letters.
    pub failed_dead: u64,
    /// How many payloads in a payload store were not read, for each reason, the most frequent
    /// first.
    pub unread: Vec<(String, u64)>,
    /// Whether payloads of waiting or leased tasks are among them because the payload store failed
    /// or took too long: what becomes of these tasks is not known then.
    pub store_failed: bool,
    /// Why payloads do not fit, and how many for each reason, the most frequent first. Paths and
    /// reasons, never values.
    pub reasons: Vec<(String, u64)>,
}
