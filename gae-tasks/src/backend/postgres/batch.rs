//! Tasks that are stored in one transaction.

use std::ops::Range;
use std::time::Duration;

use sqlx::PgConnection;

use super::commit::{commit, commit_and_chain};
use super::database::Database;
use super::error::{Fault, Problem};
use super::limit::within;
use super::patience::Patience;
use super::rows::{MOST, Receipt, Statement};
use super::shared::Shared;
use super::unique;
use super::work::Work;
use crate::backend::NewTask;
use crate::task::Deferred;
use crate::time::Now;

/// How long each part of a transaction may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// The result for each task.
pub(super) type Answers = Vec<Result<Deferred, Problem>>;

/// Tasks that are stored in one transaction.
#[derive(Debug)]
pub(super) struct Batch<'a> {
    now: Now,
    tasks: Vec<&'a NewTask>,
    has_names: bool,
}

impl<'a> Batch<'a> {
    pub(super) fn new(now: Now, tasks: Vec<&'a NewTask>) -> Self {
        let has_names = tasks.iter().any(|task| task.spec.is_known_by_more());
        Self { now, tasks, has_names }
    }

    /// Stores the tasks, and wakes the workers.
    pub(super) async fn store(&self, shared: &Shared) -> Result<Answers, Fault> {
        Ok(self.store_in(shared, None, false).await?.0)
    }

    /// Like [`store`](Self::store), in the transaction that is `open` already. If others wait and
    /// it `chains`, returns the transaction that is open for them.
    pub(super) async fn store_and_chain(
        &self,
        shared: &Shared,
        open: Option<Work>,
        chains: bool,
    ) -> Result<(Answers, Option<Work>), Fault> {
        self.store_in(shared, open, chains && !shared.database.is_pooled()).await
    }

    async fn store_in(
        &self,
        shared: &Shared,
        mut open: Option<Work>,
        chains: bool,
    ) -> Result<(Answers, Option<Work>), Fault> {
        let database = &*shared.database;
        // Those who wait for names leave connections to others.
        let _turn = match self.has_names {
            true => shared.names.acquire().await.ok(),
            false => None,
        };
        let (mut patience, mut is_careful) = (Patience::new(), false);
        loop {
            match self.attempt(shared, open.take(), is_careful, chains).await {
                Ok((answers, receipt, next)) => {
                    if answers.iter().flatten().any(Deferred::wakes) {
                        let age = receipt.as_ref().map(|receipt| receipt.begun.elapsed());
                        shared.wake_late(age.unwrap_or_default());
                    }
                    self.keep_queues(shared, receipt).await;
                    return Ok((answers, next));
                }
                Err(fault) if fault.is_of_data() && !is_careful => is_careful = true,
                Err(fault) if patience.allows(database, &fault).await => {}
                Err(fault) => return Err(fault),
            }
        }
    }

    async fn attempt(
        &self,
        shared: &Shared,
        open: Option<Work>,
        is_careful: bool,
        chains: bool,
    ) -> Result<(Answers, Option<Receipt>, Option<Work>), Fault> {
        let database = &*shared.database;
        let mut work = match open {
            Some(work) => work,
            // A transaction of the application may hold a name for as long as it likes.
            None if self.has_names => database.begin_impatient().await?,
            None => database.begin().await?,
        };
        // On the server that the transaction is on, which may be open since before another one was
        // met. Lanes may have been lost with another one, or have other numbers there.
        let known = shared.catalogue.known_lanes_of(self.tasks.iter().copied());
        let Some(lanes) = known.filter(|lanes| work.is_in(lanes.epoch)) else {
            drop(work);
            shared.catalogue.lanes_of(database, &self.tasks).await?;
            return Err(Fault::Moved);
        };
        let tasks: Vec<_> = self.tasks.iter().copied().zip(lanes.ids).collect();
        let written = match is_careful || self.has_names {
            true => self.write(database, &mut work, &tasks, is_careful).await,
            false => self.write_new(database, &mut work, &tasks).await,
        };
        if written.as_ref().is_err_and(Fault::is_of_connection) {
            work.give_up();
        }
        let (answers, receipt) = written?;
        let xid = receipt.as_ref().map(|receipt| receipt.xid.as_str());
        let next = match chains && is_next(shared, receipt.as_ref()) {
            true => commit_and_chain(database, work, xid).await?,
            false => commit(database, work, xid).await.map(|()| None)?,
        };
        Ok((answers, receipt, next))
    }

    /// Stores tasks without names, none of which may be stored already.
    async fn write_new(
        &self,
        database: &Database,
        connection: &mut PgConnection,
        laned: &[(&NewTask, i64)],
    ) -> Result<(Answers, Option<Receipt>), Fault> {
        let mut ranges = self.ranges().into_iter();
        let mut statement = || {
            let range = ranges.next()?;
            Some(Statement::of_new(database, self.now, &laned[range]))
        };
        let (mut next, mut receipt) = (statement(), None);
        while let Some(insert) = next {
            let insert = within(PATIENCE, insert?.execute(&mut *connection));
            // The next statement is made while the server is busy with this one.
            let (inserted, made) = tokio::join!(insert, async { statement() });
            (receipt, next) = (Some(inserted?.after(receipt.as_ref())), made);
        }
        let created = self.tasks.iter().map(|task| Ok(Deferred::new(task.spec.id, true)));
        Ok((created.collect(), receipt))
    }

    async fn write(
        &self,
        database: &Database,
        connection: &mut PgConnection,
        laned: &[(&NewTask, i64)],
        is_careful: bool,
    ) -> Result<(Answers, Option<Receipt>), Fault> {
        let mut answers: Answers = Vec::with_capacity(self.tasks.len());
        let mut receipt = None;
        // The last range is the next one.
        let mut ranges = self.ranges();
        ranges.reverse();
        while let Some(range) = ranges.pop() {
            let tasks = &laned[range.clone()];
            match self.insert_in_time(database, connection, tasks, is_careful).await {
                Ok((stored, last)) => {
                    answers.extend(stored.into_iter().map(Ok));
                    let last = last.map(|last| last.after(receipt.as_ref()));
                    receipt = last.or(receipt);
                }
                Err(fault) if is_careful && fault.is_of_data() && range.len() == 1 => {
                    answers.extend(tasks.iter().map(|(task, _)| Err(refused(task, &fault))));
                }
                Err(fault) if is_careful && fault.is_of_data() => {
                    let middle = range.start + range.len() / 2;
                    ranges.extend([middle..range.end, range.start..middle]);
                }
                Err(fault) => return Err(fault),
            }
        }
        Ok((answers, receipt))
    }

    /// Returns the parts that are stored by a statement each. Names are taken together, in one
    /// order.
    fn ranges(&self) -> Vec<Range<usize>> {
        if self.has_names {
            let all = 0..self.tasks.len();
            return vec![all];
        }
        let (mut ranges, mut start, mut bytes) = (Vec::new(), 0, 0);
        for (place, task) in self.tasks.iter().enumerate() {
            bytes += task.payload.len();
            if place > start && (place - start >= MOST.0 || bytes > MOST.1) {
                ranges.push(start..place);
                (start, bytes) = (place, task.payload.len());
            }
        }
        ranges.push(start..self.tasks.len());
        ranges
    }

    async fn insert_in_time(
        &self,
        database: &Database,
        connection: &mut PgConnection,
        tasks: &[(&NewTask, i64)],
        is_careful: bool,
    ) -> Result<(Vec<Deferred>, Option<Receipt>), Fault> {
        let inserting = async {
            match is_careful {
                false => self.insert(database, &mut *connection, tasks).await,
                true => self.insert_or_undo(database, &mut *connection, tasks).await,
            }
        };
        within(PATIENCE, inserting).await
    }

    async fn insert(
        &self,
        database: &Database,
        connection: &mut PgConnection,
        tasks: &[(&NewTask, i64)],
    ) -> Result<(Vec<Deferred>, Option<Receipt>), Fault> {
        if self.has_names {
            return unique::insert(database, connection, self.now, tasks).await;
        }
        let receipt = Statement::of(database, self.now, tasks)?.execute(connection).await?;
        let stored = tasks.iter().map(|(task, _)| Deferred::new(task.spec.id, true));
        Ok((stored.collect(), Some(receipt)))
    }

    /// Like [`insert`](Self::insert), and the transaction can go on if the data is at fault.
    async fn insert_or_undo(
        &self,
        database: &Database,
        connection: &mut PgConnection,
        tasks: &[(&NewTask, i64)],
    ) -> Result<(Vec<Deferred>, Option<Receipt>), Fault> {
        // Rules that wait for the commit would take the neighbours with them.
        const CHECK: &str = "SET CONSTRAINTS ALL IMMEDIATE; RELEASE SAVEPOINT gae_tasks_part; SET \
                             CONSTRAINTS ALL DEFERRED";
        const UNDO: &str = "ROLLBACK TO SAVEPOINT gae_tasks_part";
        sqlx::raw_sql("SAVEPOINT gae_tasks_part").execute(&mut *connection).await?;
        let inserted = self.insert(database, connection, tasks).await;
        let checked = match inserted {
            Ok(stored) => match sqlx::raw_sql(CHECK).execute(&mut *connection).await {
                Ok(_) => Ok(stored),
                Err(error) => Err(error.into()),
            },
            Err(fault) => Err(fault),
        };
        if checked.as_ref().is_err_and(Fault::is_of_data) {
            sqlx::raw_sql(UNDO).execute(connection).await?;
        }
        checked
    }

    async fn keep_queues(&self, shared: &Shared, receipt: Option<Receipt>) {
        let Some(receipt) = receipt else { return };
        let (catalogue, database) = (&shared.catalogue, &*shared.database);
        // The tasks are stored, and a queue without a row has the default configuration.
        let kept = catalogue.keep_queues(database, &self.tasks, receipt.queue_changes).await;
        if let Err(fault) = kept {
            database.heed(&fault);
        }
    }
}

/// Whether the transaction with this receipt is followed by another one on its connection. To look
/// for queues takes a connection, for which nobody waits who keeps one.
fn is_next(shared: &Shared, receipt: Option<&Receipt>) -> bool {
    let is_current = |receipt: &Receipt| shared.catalogue.is_of(receipt.queue_changes);
    receipt.is_none_or(is_current) && shared.callers.may_come()
}

fn refused(task: &NewTask, fault: &Fault) -> Problem {
    let of = format!("{} of `{}`", task.spec.id, task.spec.kind);
    let text = format!("refuses the task {of}: a rule of the database is against it");
    Problem::new(text, fault.cause())
}
