//! The schedules that a client's program declares: those of its tasks' attributes.

use std::sync::Arc;

use super::Client;
use super::schedules::is_name;
use crate::backend::NewSchedule;
use crate::cron::Missed;
use crate::defer::Defer;
use crate::error::{Error, no_problems};
use crate::outcome::chain;
use crate::registration::{CronDeclaration, Registration};
use crate::worker::{Declaration, Ticker};

impl Client {
    /// The schedules that the program declares, whatever this client can run: every worker of a
    /// program declares the same. What is wrong with them is added to `problems`.
    pub(super) fn declaration(&self, problems: &mut Vec<String>) -> Declaration {
        let mut schedules = Vec::new();
        for registration in self.registry().registrations().iter().copied() {
            let Some(declared) = &registration.cron else { continue };
            let known = registration.problems_of_cron();
            if !known.is_empty() {
                // Those of tasks that the consumer meets are listed already.
                let new = known.into_iter().filter(|known| !problems.contains(known));
                let new: Vec<_> = new.collect();
                problems.extend(new);
                continue;
            }
            match self.declared(registration, declared) {
                Ok(schedule) => schedules.push(schedule),
                Err(error) => problems.push(format!(
                    "task `{}` at {}: {}",
                    registration.kind,
                    registration.location,
                    chain(&error)
                )),
            }
        }
        #[cfg(feature = "yaml")]
        schedules.extend(self.of_cron_file(&schedules, problems));
        let (program, revision) = (self.program().to_owned(), self.revision());
        Declaration { program, revision, schedules: schedules.into() }
    }

    /// The schedule of a task, which is named after its kind.
    fn declared(
        &self,
        registration: &'static Registration,
        declared: &CronDeclaration,
    ) -> Result<NewSchedule, Error> {
        let name = registration.kind;
        if !is_name(name) {
            let problem = "has a kind of more than 500 bytes as its name: set a shorter one \
                           (`name = \"..\"`)";
            return Err(Error::Schedule { name: name.to_owned(), problem: problem.to_owned() });
        }
        let cron = declared.cron()?;
        let call = Defer::of(registration, (declared.args)());
        self.new_schedule(name, &cron, Missed::default(), call.template(self, name)?)
    }

    /// Does once what workers do all the time about schedules: declares those of this program, and
    /// stores the tasks of all that are due. Returns how many tasks were stored. For tests with a
    /// clock of their own, and for programs that run when they are called.
    ///
    /// # Errors
    /// [`Error::Misconfigured`] if a schedule that an attribute declares cannot be stored,
    /// [`Error::Unsupported`] if the backend calls handlers over HTTP, [`Error::Storage`].
    ///
    /// ```standalone_crate
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), gae_tasks::Error> {
    /// # #[cfg(feature = "testing")] {
    /// use std::time::Duration;
    /// use gae_tasks::backend::memory::Memory;
    /// use gae_tasks::testing::ManualClock;
    /// use gae_tasks::{Client, deferred};
    ///
    /// #[deferred]
    /// async fn clean_up() {}
    ///
    /// let clock = ManualClock::new(); // it stands at midnight
    /// let tasks = Client::builder().clock(clock.clone()).build(Memory::new())?;
    /// tasks.schedule("hourly", "0 * * * *".parse()?, clean_up::defer()).await?;
    /// assert_eq!(tasks.tick_schedules().await?, 0);
    /// clock.advance(Duration::from_secs(3600));
    /// assert_eq!(tasks.tick_schedules().await?, 1);
    /// # }
    /// # Ok(())
    /// # }
    /// ```
    pub async fn tick_schedules(&self) -> Result<u64, Error> {
        let backend = self.capabilities().backend;
        let pull = self
            .pull()
            .ok_or(Error::Unsupported { backend, what: "ticks, as it calls handlers over HTTP" })?;
        let mut problems = Vec::new();
        let declaration = self.declaration(&mut problems);
        no_problems(problems)?;
        let mut ticker = Ticker::new(Arc::clone(pull), Arc::clone(self.clock()), declaration);
        let looked = ticker.look().await?;
        looked.undeclared.map_or(Ok(looked.stored), Err)
    }
}
