//! What makes a task unique, as a call says it.

use std::time::Duration;

use crate::error::Error;
use crate::payload::{UnreadableError, key_of_args, key_of_text};
use crate::registration::Registration;
use crate::task::{OnConflict, Reschedule, UniqueKey};
use crate::time::Schedule;

/// What makes a task [unique](crate::Defer::unique): its key, which other tasks block the key, and
/// what the call does then.
///
/// A key belongs to a queue and to the kind of the task. A task that waits always blocks it. By
/// default a task that runs does so too, and a dead letter or a finished task does not; a call that
/// meets another task leaves it as it is.
///
/// The key is held by the task that was stored under it last. So if a task runs and
/// another one waits [behind](Self::behind) it, a third call meets the one that waits; and if a
/// dead letter is replayed whose key another task has by now, both are there.
///
/// ```
/// use std::time::Duration;
/// use gae_tasks::Unique;
///
/// // One digest for each user, a minute after the last change, an hour after the first at most.
/// let digest = Unique::by(["user"])
///     .replace_args()
///     .debounce(Duration::from_secs(60))
///     .longest_wait(Duration::from_secs(60 * 60));
/// # let _ = digest;
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use = "a task is unique if its call takes this: `.unique(..)`"]
pub struct Unique {
    by: By,
    on_conflict: OnConflict,
    debounce: Option<Duration>,
}

/// What a key is made of, beside the kind.
#[derive(Debug, Clone, PartialEq, Eq)]
enum By {
    /// The parameters that the attribute names, or all.
    Args,
    Parameters(Vec<String>),
    Text(String),
}

impl Unique {
    const fn new(by: By) -> Self {
        Self { by, on_conflict: OnConflict::KEEP, debounce: None }
    }

    /// Makes the key of the args: of the parameters that the attribute names as `unique_by`, or if
    /// it names none, of all.
    ///
    /// Values are compared, not bytes: the order of fields and of the entries of a map, the width
    /// of a number, and whether a value is in an `Option` do not matter. A field or a parameter
    /// that is `None` counts as absent; so does a parameter that has its `#[default]`, if the
    /// attribute has `unique_by`. The order of a sequence matters: use a `BTreeSet` in place of a
    /// `HashSet`.
    pub const fn by_args() -> Self {
        Self::new(By::Args)
    }

    /// Makes the key of these parameters.
    pub fn by<N: Into<String>>(parameters: impl IntoIterator<Item = N>) -> Self {
        Self::new(By::Parameters(parameters.into_iter().map(Into::into).collect()))
    }

    /// Makes the key of this text.
    pub fn by_key(key: impl Into<String>) -> Self {
        Self::new(By::Text(key.into()))
    }

    /// Has a dead letter block the key too.
    pub const fn over_dead(mut self) -> Self {
        self.on_conflict.over_dead = true;
        self
    }

    /// Has a task that has finished, or was deleted, block the key too, for as long as its queue
    /// keeps names ([`tombstone_retention`](crate::QueueConfig::with_tombstone_retention)). It is
    /// remembered if its own call said so.
    pub const fn over_finished(mut self) -> Self {
        self.on_conflict.over_finished = true;
        self
    }

    /// Has a task that runs not block the key: one more is stored behind it, and a call that meets
    /// that one is in conflict with it. The one behind sees whatever was written before its call.
    /// It may begin while the first still runs, unless the queue runs one task at a time.
    pub const fn behind(mut self) -> Self {
        self.on_conflict.over_running = false;
        self
    }

    /// Has the task of the call take the place, and the time, of the one that waits. What runs is
    /// never changed: see [`Conflict::Running`](crate::Conflict::Running).
    pub const fn replace_args(mut self) -> Self {
        self.on_conflict.replaces_args = true;
        self
    }

    /// Gives the task that waits the time of the call. A pause after a failure is not made shorter,
    /// and a task that was made due by hand stays due.
    pub const fn replace_schedule(mut self) -> Self {
        if let Reschedule::No = self.on_conflict.reschedules {
            self.on_conflict.reschedules = Reschedule::ToCall;
        }
        self
    }

    /// Lets the task wait this long after the last call, as
    /// [`replace_schedule`](Self::replace_schedule) does, and
    /// [behind](Self::behind) a task that runs. The args are those of the first call, unless the
    /// call [replaces](Self::replace_args) them. Without a [longest wait](Self::longest_wait),
    /// calls that never end put the task off for ever.
    pub const fn debounce(mut self, pause: Duration) -> Self {
        self.debounce = Some(pause);
        self.behind().replace_schedule()
    }

    /// Bounds the wait of a task that is rescheduled: counted from the call that stored it first.
    pub const fn longest_wait(mut self, longest: Duration) -> Self {
        self.on_conflict.reschedules = Reschedule::Within(longest);
        self
    }

    /// What happens on a conflict.
    pub(super) const fn on_conflict(&self) -> OnConflict {
        self.on_conflict
    }

    /// When the task may be run first: as the call says, or by the [pause](Self::debounce).
    ///
    /// # Errors
    /// The call says both.
    pub(super) fn schedule(&self, kind: &str, of_call: Schedule) -> Result<Schedule, Error> {
        match (self.debounce, of_call) {
            (None, schedule) => Ok(schedule),
            (Some(pause), Schedule::Now) => Ok(Schedule::After(pause)),
            (Some(_), _) => Err(Error::InvalidOption {
                kind: kind.to_owned(),
                option: ".debounce(..)",
                problem: "sets the time of the task: remove `.after(..)` or `.at(..)`".to_owned(),
            }),
        }
    }

    /// Returns the key of a payload of this task, which has its own schema.
    ///
    /// # Errors
    /// A parameter is named that the task does not have.
    pub(super) fn key(
        &self,
        registration: &Registration,
        payload: &[u8],
    ) -> Result<UniqueKey, UnreadableError> {
        let (kind, defaults) = (registration.kind, registration.defaults);
        let schema = registration.schema().map_err(Clone::clone)?;
        let of_args =
            |chosen: Option<&[&str]>| key_of_args(kind, (schema, payload), chosen, defaults);
        let hash = match &self.by {
            By::Text(text) => key_of_text(kind, text),
            By::Args => of_args(registration.unique_by)?,
            By::Parameters(names) => {
                let names: Vec<_> = names.iter().map(String::as_str).collect();
                of_args(Some(names.as_slice()))?
            }
        };
        Ok(UniqueKey::new(hash, self.on_conflict.over_finished))
    }
}
