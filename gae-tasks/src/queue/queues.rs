//! The queues that a program wants, each with its configuration.

use super::{QueueConfig, QueueName};

/// The queues that a program wants, each with its configuration:
/// [`plan_queues`](crate::Client::plan_queues) compares them with the stored ones.
///
/// They are built in code, from pairs of a name and a [`QueueConfig`], or read from App Engine's
#[cfg_attr(feature = "yaml", doc = "`queue.yaml`, by [`Queues::parse`].")]
#[cfg_attr(not(feature = "yaml"), doc = "`queue.yaml` (feature `yaml`).")]
///
/// ```
/// use gae_tasks::{QueueConfig, Queues, RetryConfig};
///
/// const EMAILS: QueueConfig = QueueConfig::new()
///     .with_max_dispatches_per_second(20.0)
///     .with_retry(RetryConfig::new().with_max_attempts(Some(8)));
///
/// let queues = Queues::from([("emails", EMAILS), ("reports", QueueConfig::new())]);
/// assert_eq!(queues.iter().count(), 2);
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Queues {
    pub(crate) wanted: Vec<WantedQueue>,
    /// What a file says of all queues, as far as it has a meaning here.
    pub(crate) taken: Vec<Taken>,
    /// What a file says that has no effect here, each in words.
    pub(crate) unsupported: Vec<String>,
    /// The queues of a file that are left alone, as they are of a sort that is not supported.
    pub(crate) left_alone: Vec<QueueName>,
}

/// A default of App Engine that was taken, in the words of its file: the key and the value.
pub(crate) type Taken = (&'static str, String);

/// A queue that a program wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct WantedQueue {
    /// The name, which is checked when it is used.
    pub(crate) name: String,
    pub(crate) config: QueueConfig,
    /// Whether the queue is to be paused; `None` leaves it as it is.
    pub(crate) paused: Option<bool>,
    /// The defaults of App Engine in the configuration.
    pub(crate) taken: Vec<Taken>,
}

impl Queues {
    /// Creates a set without queues.
    pub const fn new() -> Self {
        Self {
            wanted: Vec::new(),
            taken: Vec::new(),
            unsupported: Vec::new(),
            left_alone: Vec::new(),
        }
    }

    /// Adds a queue. Names are checked, and may stand there once, when a plan is made.
    pub fn with(mut self, name: impl AsRef<str>, config: QueueConfig) -> Self {
        let name = name.as_ref().to_owned();
        self.wanted.push(WantedQueue { name, config, paused: None, taken: Vec::new() });
        self
    }

    /// The queues: their names and configurations.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &QueueConfig)> {
        self.wanted.iter().map(|queue| (queue.name.as_str(), &queue.config))
    }
}

impl<N: AsRef<str>> FromIterator<(N, QueueConfig)> for Queues {
    fn from_iter<I: IntoIterator<Item = (N, QueueConfig)>>(queues: I) -> Self {
        queues.into_iter().fold(Self::new(), |queues, (name, config)| queues.with(name, config))
    }
}

impl<N: AsRef<str>, const COUNT: usize> From<[(N, QueueConfig); COUNT]> for Queues {
    fn from(queues: [(N, QueueConfig); COUNT]) -> Self {
        queues.into_iter().collect()
    }
}

impl<N: AsRef<str>> From<Vec<(N, QueueConfig)>> for Queues {
    fn from(queues: Vec<(N, QueueConfig)>) -> Self {
        queues.into_iter().collect()
    }
}

impl<N: AsRef<str>> From<&[(N, QueueConfig)]> for Queues {
    fn from(queues: &[(N, QueueConfig)]) -> Self {
        queues.iter().map(|(name, config)| (name, config.clone())).collect()
    }
}

impl<N: AsRef<str>, const COUNT: usize> From<&[(N, QueueConfig); COUNT]> for Queues {
    fn from(queues: &[(N, QueueConfig); COUNT]) -> Self {
        queues.as_slice().into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queues_come_from_names_and_configurations() {
        const SLOW: QueueConfig = QueueConfig::new().with_max_dispatches_per_second(1.0);
        let queues = Queues::from([("a", SLOW), ("b", QueueConfig::new())]);
        let pairs: Vec<_> = queues.iter().collect();
        assert_eq!(pairs, [("a", &SLOW), ("b", &QueueConfig::new())]);
        let slice: &[(QueueName, QueueConfig)] =
            &[(QueueName::new("a").unwrap(), SLOW), (QueueName::new("b").unwrap(), SLOW)];
        assert_eq!(Queues::from(slice), Queues::from(slice.to_vec()));
        assert_eq!(Queues::from(&[("a", SLOW), ("b", QueueConfig::new())]), queues);
        assert_eq!(
            queues,
            Queues::new().with("a", SLOW).with(String::from("b"), QueueConfig::new())
        );
    }
}
