//! Compares the queues that a program wants with the stored ones, and makes the differences.

mod fields;
mod planned;
mod text;

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use self::planned::{Change, Compared, Planned, Wanted};
use super::Client;
use crate::backend::accept::queue::problems;
use crate::backend::{Capabilities, DeleteQueue, ReplaceQueue};
use crate::error::{Error, no_problems};
use crate::queue::{QueueConfig, QueueName, Queues, Taken, WantedQueue};

impl Client {
    /// Compares the queues that this program wants with the stored ones, and changes nothing.
    ///
    /// The plan lists what is to be created and changed, field by field; its `Display` is for
    /// people. [`apply`](QueuePlan::apply) makes the changes, and a second plan is empty then. A
    /// plan decides the retries and the limits of each of `queues`: those that are not set are
    /// removed, unlike with [`put_queue`](Self::put_queue). A retention, lost attempts and a step
    /// of priorities that are not set stay as they are.
    ///
    /// Queues that registered tasks name, and that are not among `queues`, are created if they are
    /// missing, and never changed. Other stored queues are [reported](QueuePlan::extra), and
    /// deleted only [if asked](QueuePlan::delete_extra). What a newer version of this crate
    /// configured, or what is damaged, is reported and left alone.
    ///
    /// On Cloud Tasks, call this method and `apply` in every process that defers, as `put_queue`:
    /// the limits of attempts are held in each task, so they are no difference, and `apply` takes
    /// note of them.
    ///
    /// # Errors
    /// [`Error::Misconfigured`] with every problem of all queues: names that are not valid or stand
    /// there twice, settings that are not valid, and features that the backend lacks;
    /// [`Error::Storage`].
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), gae_tasks::Error> {
    /// use gae_tasks::{Client, QueueConfig};
    ///
    /// const EMAILS: QueueConfig = QueueConfig::new().with_max_dispatches_per_second(20.0);
    ///
    /// let tasks = Client::open("memory:").await?;
    /// let plan = tasks.plan_queues([("emails", EMAILS)]).await?;
    /// assert!(plan.to_string().contains("create `emails`\n    max_dispatches_per_second: 20"));
    /// plan.apply().await?;
    /// assert!(tasks.plan_queues([("emails", EMAILS)]).await?.is_empty());
    /// # Ok(())
    /// # }
    /// ```
    pub async fn plan_queues(&self, queues: impl Into<Queues>) -> Result<QueuePlan, Error> {
        let Queues { wanted, taken, unsupported, left_alone } = queues.into();
        let wanted = checked(wanted, self.capabilities())?;
        let mut stored = self.backend().queues().await?;
        let mut named = self.named_queues();
        stored.retain(|record| !left_alone.contains(&record.name));
        named.retain(|name| !left_alone.contains(name));
        let compared = Compared::new(wanted, &named, &stored, self.capabilities());
        let (client, deletes_extra) = (self.clone(), false);
        Ok(QueuePlan { client, compared, deletes_extra, taken, unsupported })
    }

    /// The queues that registered tasks name.
    pub(super) fn named_queues(&self) -> BTreeSet<QueueName> {
        let registrations = self.registry().registrations().iter();
        registrations.flat_map(|registration| self.queues_of(registration)).collect()
    }
}

/// What has to change so that the stored queues are as a program wants them; from
/// [`Client::plan_queues`]. `Display` lists it.
#[must_use = "a plan changes nothing until `apply`"]
#[derive(Debug)]
pub struct QueuePlan {
    client: Client,
    compared: Compared,
    deletes_extra: bool,
    taken: Vec<Taken>,
    unsupported: Vec<String>,
}

impl QueuePlan {
    /// Whether there is nothing to change.
    pub fn is_empty(&self) -> bool {
        let Compared { planned, missing, extra, .. } = &self.compared;
        let deletes = self.deletes_extra && !extra.is_empty();
        missing.is_empty() && !deletes && !planned.iter().any(Planned::is_change)
    }

    /// The stored queues that are neither configured nor named by a registered task, sorted by
    /// name. They may belong to another program.
    pub fn extra(&self) -> &[QueueName] {
        &self.compared.extra
    }

    /// Also deletes the [extra](Self::extra) queues, if they hold neither tasks nor dead letters.
    pub fn delete_extra(mut self) -> Self {
        self.deletes_extra = true;
        self
    }

    /// Makes the changes, one queue after the other.
    ///
    /// # Errors
    /// The first change that fails: the earlier ones stay made, and the next plan has the rest.
    /// [`Error::Storage`]; [`Error::NewerQueue`] if a newer version of this crate has configured a
    /// queue meanwhile; [`Error::QueueInUse`] if a queue that is to be deleted is not empty.
    pub async fn apply(self) -> Result<(), Error> {
        for planned in &self.compared.planned {
            self.change(planned).await?;
        }
        for queue in &self.compared.missing {
            // If another program has made it meanwhile, it stays as it is.
            self.client.backend().put_queue(queue.clone(), QueueConfig::new()).await?;
        }
        if self.deletes_extra {
            for queue in &self.compared.extra {
                let request = DeleteQueue::new(self.client.now(), queue.clone());
                self.client.remove_queue(request).await?;
            }
        }
        Ok(())
    }

    async fn change(&self, planned: &Planned) -> Result<(), Error> {
        let (backend, Wanted { name, config, .. }) = (self.client.backend(), &planned.wanted);
        let is_new = planned.change == Change::Create;
        // A queue that is to be paused is paused before a limit is taken away.
        if planned.pause == Some(true) && !is_new {
            backend.set_paused(name.clone(), true).await?;
        }
        let mut request = ReplaceQueue::new(name.clone(), config.clone());
        if planned.change == Change::Keep {
            request = request.stored();
        } else if config.own_retention().is_stated() {
            // As in `put_queue`: stored later, the builder's retention would raise a shortened one.
            self.client.raise_retention([name]).await?;
        }
        backend.replace_queue(request).await?;
        match planned.pause {
            Some(true) if is_new => backend.set_paused(name.clone(), true).await,
            Some(false) => backend.set_paused(name.clone(), false).await,
            _ => Ok(()),
        }
    }
}

/// Checks the names and configurations of all queues.
fn checked(wanted: Vec<WantedQueue>, backend: &Capabilities) -> Result<Vec<Wanted>, Error> {
    let (mut checked, mut names, mut problems_found) = (Vec::new(), BTreeSet::new(), Vec::new());
    for queue in wanted {
        let WantedQueue { name, config, paused, taken } = supported(queue, backend);
        let found = config.problem().into_iter().chain(problems(&config, backend));
        let found = found.map(|problem| format!("the configuration of queue `{name}` {problem}"));
        problems_found.extend(found);
        match QueueName::new(name) {
            Err(error) => problems_found.push(error.to_string()),
            Ok(name) if !names.insert(name.clone()) => {
                problems_found.push(format!("the queue `{name}` is configured twice: remove one"));
            }
            Ok(name) => checked.push(Wanted { name, config, paused, taken }),
        }
    }
    no_problems(problems_found).map(|()| checked)
}

/// The queue without defaults of App Engine that the backend does not support: only what a file
/// states is refused.
fn supported(mut queue: WantedQueue, backend: &Capabilities) -> WantedQueue {
    let is_burst = |(key, _): &Taken| *key == "bucket_size";
    if !backend.queue_limits.burst_size && queue.taken.iter().any(is_burst) {
        queue.taken.retain(|taken| !is_burst(taken));
        queue.config = queue.config.without_burst_size();
    }
    queue
}
