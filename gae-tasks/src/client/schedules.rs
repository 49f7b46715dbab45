//! Schedules at run time: made, listed, paused, resumed and removed.

use std::fmt;

use super::Client;
use super::future::boxed_future;
use crate::backend::definition::Definition;
use crate::backend::{
    ChangeSchedule, NewSchedule, NewTask, PutSchedules, ScheduleChange, ScheduleChanged,
    ScheduleKey, SchedulePut, StoredSchedule,
};
use crate::cron::{Cron, Missed};
use crate::defer::Defer;
use crate::error::Error;
use crate::queue::QueueName;
use crate::task::Kind;
use crate::time::Timestamp;

impl Client {
    /// Makes a schedule: `.await` it. From then on a task is deferred at each tick of `cron`, as
    /// `call` says, by whichever worker of any program looks first. A schedule that this program
    /// has made under the same name before is replaced; a paused one stays paused.
    ///
    /// The first tick is the first one after the call, by the storage's clock. Each tick's task has
    /// a name, so it is stored once; one queue gets all of them, also if the call names several.
    /// Tasks that are due on a schedule from the beginning are declared by the key `cron` of the
    /// attribute instead: see the guide [cron](crate::guide::cron).
    ///
    /// # Errors
    /// The `.await` fails, and stores nothing, with [`Error::Schedule`] if the name is not 1 to 500
    /// letters, digits and `._-/`, is that of a schedule which the program declares, or the args
    /// are too large; with [`Error::Cron`] if there is no such time zone; with
    /// [`Error::InvalidOption`] if the call has a name or a time of its own, or must be new; with
    /// [`Error::Unsupported`] if the backend calls handlers over HTTP; and as for a `defer`.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), gae_tasks::Error> {
    /// use gae_tasks::{Client, Missed, deferred};
    ///
    /// #[deferred(queue = "reports")]
    /// async fn send_report(customer: u64) {}
    ///
    /// let tasks = Client::open("memory:").await?;
    /// let nightly = tasks.schedule("nightly-7", "0 3 * * *".parse()?, send_report::defer(7));
    /// nightly.zone("Europe/Paris").missed(Missed::Skip).await?;
    ///
    /// tasks.pause_schedule("nightly-7").await?;
    /// let listed = tasks.schedules().await?;
    /// assert!(listed[0].paused && listed[0].name == "nightly-7");
    /// tasks.remove_schedule("nightly-7").await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn schedule(&self, name: impl Into<String>, cron: Cron, call: Defer) -> MakeSchedule {
        let (client, name) = (self.clone(), name.into());
        MakeSchedule { client, name, cron, zone: None, call, missed: Missed::default() }
    }

    /// Returns all stored schedules, of all programs, by program and name.
    ///
    /// # Errors
    /// [`Error::Unsupported`] if the backend calls handlers over HTTP, [`Error::Storage`].
    pub async fn schedules(&self) -> Result<Vec<ScheduleRecord>, Error> {
        let stored = self.backend().schedules(None).await?;
        Ok(stored.into_iter().map(ScheduleRecord::of).collect())
    }

    /// Pauses a schedule of this client's [program](Self::program): it does not tick until it is
    /// [resumed](Self::resume_schedule). A schedule that the program declares stays paused through
    /// deploys.
    ///
    /// # Errors
    /// [`Error::NoSuchSchedule`]; [`Error::Unsupported`] if the backend calls handlers over HTTP.
    pub async fn pause_schedule(&self, name: impl Into<String>) -> Result<(), Error> {
        self.change_schedule(name.into(), ScheduleChange::Pause).await
    }

    /// Resumes a paused schedule of this client's program. Ticks of the pause are not made up for.
    ///
    /// # Errors
    /// As [`pause_schedule`](Self::pause_schedule).
    pub async fn resume_schedule(&self, name: impl Into<String>) -> Result<(), Error> {
        self.change_schedule(name.into(), ScheduleChange::Resume).await
    }

    /// Removes a schedule of this client's program; tasks of its ticks stay. One that the program
    /// declares can be removed once no worker that declares it was seen for 10 minutes.
    ///
    /// # Errors
    /// As [`pause_schedule`](Self::pause_schedule), and [`Error::Schedule`] if a worker that
    /// declares the schedule was seen lately: pause it, or remove it from the program.
    pub async fn remove_schedule(&self, name: impl Into<String>) -> Result<(), Error> {
        self.change_schedule(name.into(), ScheduleChange::Remove).await
    }

    async fn change_schedule(&self, name: String, change: ScheduleChange) -> Result<(), Error> {
        let key = ScheduleKey::new(self.program(), &name);
        let request = ChangeSchedule::new(self.now(), key, change);
        match self.backend().change_schedule(request).await? {
            ScheduleChanged::Done => Ok(()),
            ScheduleChanged::Missing => {
                Err(Error::NoSuchSchedule { name, program: self.program().to_owned() })
            }
            ScheduleChanged::Declared => {
                let problem = "is not removed: a worker that declares it was seen lately and would \
                               declare it again; pause it, or remove it from the attribute or the \
                               `cron.yaml` of the program";
                Err(Error::Schedule { name, problem: problem.to_owned() })
            }
        }
    }
}

/// A schedule to be made: `.await` it. See [`Client::schedule`].
#[must_use = "nothing is stored until this is awaited"]
pub struct MakeSchedule {
    client: Client,
    name: String,
    cron: Cron,
    zone: Option<String>,
    call: Defer,
    missed: Missed,
}

impl MakeSchedule {
    /// Sets the time zone, such as `Europe/Paris`, in place of the expression's own, which is UTC
    /// unless it says otherwise.
    pub fn zone(mut self, zone: impl Into<String>) -> Self {
        self.zone = Some(zone.into());
        self
    }

    /// Sets what becomes of ticks for which no worker was there; by default one task is made for
    /// all of them.
    pub fn missed(mut self, missed: Missed) -> Self {
        self.missed = missed;
        self
    }

    async fn store(self) -> Result<(), Error> {
        let Self { client, name, cron, zone, call, missed } = self;
        let refused = |problem: String| Error::Schedule { name: name.clone(), problem };
        if !is_name(&name) {
            let problem = "is not a valid name: use 1 to 500 letters, digits and `._-/`";
            return Err(refused(problem.to_owned()));
        }
        if let Some(problem) = missed.problem() {
            return Err(refused(problem));
        }
        let cron = match zone {
            Some(zone) => cron.in_zone(&zone)?,
            None => cron,
        };
        let task = call.template(&client, &name)?;
        let schedule = client.new_schedule(&name, &cron, missed, task)?;
        let request = PutSchedules::new(client.now(), client.program(), vec![schedule]);
        match client.backend().put_schedules(request).await?.schedules.first() {
            Some(SchedulePut::Taken) => {
                Err(refused("is declared by the program itself: choose another name".to_owned()))
            }
            _ => Ok(()),
        }
    }
}

impl Client {
    /// A schedule of this program, as it is stored: each tick stores `task`.
    pub(super) fn new_schedule(
        &self,
        name: &str,
        cron: &Cron,
        missed: Missed,
        task: NewTask,
    ) -> Result<NewSchedule, Error> {
        let definition = Definition { missed, task }.encode().ok_or_else(|| {
            let problem = "has settings that cannot be stored".to_owned();
            Error::Schedule { name: name.to_owned(), problem }
        })?;
        Ok(NewSchedule::new(name, cron.to_string(), definition))
    }
}

/// Whether schedules may have this name.
pub(super) fn is_name(name: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b"._-/".contains(&b);
    (1..=500).contains(&name.len()) && name.bytes().all(allowed)
}

impl IntoFuture for MakeSchedule {
    type Output = Result<(), Error>;
    type IntoFuture = MakeScheduleFuture;

    fn into_future(self) -> MakeScheduleFuture {
        MakeScheduleFuture(Box::pin(self.store()))
    }
}

impl fmt::Debug for MakeSchedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MakeSchedule")
            .field("name", &self.name)
            .field("cron", &self.cron)
            .field("zone", &self.zone)
            .field("call", &self.call)
            .field("missed", &self.missed)
            .finish_non_exhaustive()
    }
}

boxed_future! {
    /// The future of a [`MakeSchedule`].
    MakeScheduleFuture -> Result<(), Error>
}

/// A stored schedule, as [`Client::schedules`] lists it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ScheduleRecord {
    /// The program that the schedule belongs to.
    pub program: String,
    /// The name of the schedule; that of one which an attribute declares is the task's kind.
    pub name: String,
    /// The revision of the program that declares the schedule so; `None` if it was made at run
    /// time.
    pub revision: Option<u64>,
    /// The expression, with its zone: [`Cron::parse`] reads it.
    pub cron: String,
    /// The kind of its tasks; `None` if a newer version of this crate stored the schedule.
    pub kind: Option<Kind>,
    /// The queue of its tasks; `None` like the kind.
    pub queue: Option<QueueName>,
    /// What becomes of ticks that were missed; `None` like the kind.
    pub missed: Option<Missed>,
    /// Whether it does not tick until it is resumed.
    pub paused: bool,
    /// The last tick of which a task was made.
    pub last_tick: Option<Timestamp>,
    /// The next tick; a moment that has passed if no worker has looked since the schedule was
    /// stored, resumed, or due. `None`: it never ticks again.
    pub next_tick: Option<Timestamp>,
    /// When it was stored like this.
    pub declared: Timestamp,
    /// When a worker last declared it, to the minute; when it was stored, if it was made at run
    /// time.
    pub seen: Timestamp,
}

impl ScheduleRecord {
    fn of(stored: StoredSchedule) -> Self {
        let definition = Definition::decode(&stored.definition).ok();
        let (missed, spec) = definition.map(|of| (of.missed, of.task.spec)).unzip();
        let (kind, queue) = spec.map(|spec| (spec.kind, spec.queue)).unzip();
        let StoredSchedule { key: ScheduleKey { program, name }, .. } = stored;
        Self {
            program,
            name,
            revision: stored.revision.map(|revision| revision.max(0).unsigned_abs()),
            cron: stored.cron,
            kind,
            queue,
            missed,
            paused: stored.paused,
            last_tick: stored.last_tick,
            next_tick: stored.next,
            declared: stored.declared,
            seen: stored.seen,
        }
    }
}
