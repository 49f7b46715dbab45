//! Where transactions are made: the writer's thread has the committer, or for a moment a caller
//! that blocks.

use std::mem;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rusqlite::Connection;
use tokio::sync::watch;

use super::call::Work;
use super::connection::{self, Durability, PATIENCE};
use super::database::{Database, moment};
use super::error::{Fault, Problem};
use super::grouping::Grouping;
use super::inbox::Outlet;
use super::listener::Listening;
use super::news::{self, Found, Search};
use super::opened::Opened;
use super::turn::Turn;
use crate::time::Now;

/// The fewest just answered callers that are worth waiting for: they are likely to call again.
const WORTH_WAITING: usize = 4;

/// A transaction with this many calls waits for no more: others compute while the disk is busy with
/// it.
const ENOUGH: usize = 640;

/// How long the writer tries for a call that has waited too long behind others.
const FAIR_TRY: Duration = Duration::from_secs(1);

/// The longest time a transaction waits for more calls.
const MAX_PATIENCE: Duration = Duration::from_millis(2);

/// The database and how its transactions are made.
pub(super) struct Committer {
    database: Database,
    opened: Opened,
    /// Whether the last check found the files moved or gone.
    is_cut_off: bool,
    turn: Turn,
    wakeups: watch::Sender<u64>,
    transactions: Arc<AtomicU64>,
    listening: Arc<Listening>,
    search: Search,
    /// The current value of `PRAGMA synchronous`.
    synchronous: Durability,
    /// How many callers are expected in the next transaction.
    expected: usize,
    /// The duration of the last synced commit: waiting longer for other callers costs more than a
    /// separate commit for them.
    patience: Duration,
}

impl Committer {
    pub(super) fn new(
        database: Database,
        opened: Opened,
        wakeups: watch::Sender<u64>,
        transactions: Arc<AtomicU64>,
        listening: Arc<Listening>,
    ) -> Self {
        let (turn, is_cut_off) = (Turn::new(&opened), false);
        let (synchronous, expected, patience) = (Durability::Full, 0, Duration::ZERO);
        Self {
            database,
            opened,
            is_cut_off,
            turn,
            wakeups,
            transactions,
            listening,
            search: Search::default(),
            synchronous,
            expected,
            patience,
        }
    }

    /// Returns how long to wait for calls until there may be news from other processes.
    pub(super) fn patience(&mut self) -> Option<Duration> {
        let has_workers = self.wakeups.receiver_count() > 0;
        let is_deaf = has_workers && !self.listening.is_on.load(Ordering::Relaxed);
        if is_deaf { Some(news::INTERVAL) } else { self.search.again() }
    }

    /// Starts to look for news.
    pub(super) fn look_around(&mut self) {
        self.search.begin();
        self.look_for_news();
    }

    /// Wakes the workers if another process has made a task due. Errors are left to the workers'
    /// next look.
    pub(super) fn look_for_news(&mut self) {
        if self.wakeups.receiver_count() == 0 {
            return self.search.end();
        }
        let Database { connection, catalogue, news, .. } = &mut self.database;
        let found =
            news.look(connection, catalogue, moment(Now::Storage)).unwrap_or(Found::Unchanged);
        self.search.note(found);
        let pause = u64::try_from(self.search.pause().as_millis()).unwrap_or_default();
        self.listening.pause.store(pause, Ordering::Relaxed);
        if matches!(found, Found::StillDue | Found::Sooner) {
            self.wake();
        }
    }

    fn wake(&self) {
        self.wakeups.send_modify(|count| *count = count.wrapping_add(1));
    }

    /// Answers all calls of the group; callers that come meanwhile may join.
    pub(super) fn answer(&mut self, group: &mut Vec<Box<dyn Work>>, outlet: &Outlet) {
        self.look(group);
        if group.is_empty() {
            return;
        }
        let begun = Instant::now();
        while let Err(problem) = self.transact_together(group, outlet, begun) {
            if !problem.is_of_lock() {
                self.answer_each(group, &problem);
                break;
            }
            // The others have waited for less long.
            for mut work in group.extract_if(.., |work| left(&**work, begun).is_zero()) {
                work.fail(problem.clone());
                work.finish();
            }
            if group.is_empty() {
                break;
            }
        }
        // Callers that are answered now cannot be waiting already: as many may be waiting next
        // time.
        let again = group.iter().filter(|work| work.durability() == Durability::Full).count();
        self.expected = if again >= WORTH_WAITING { outlet.len() + again } else { 0 };
        self.finish(group);
    }

    /// Answers a caller on its own thread, if this needs no wait for another process; otherwise the
    /// call stays in `group`. It also stays where many callers come together, because they share
    /// their transactions.
    pub(super) fn answer_here(&mut self, group: &mut Vec<Box<dyn Work>>) {
        self.database.grouping = Grouping::Gathered;
        // An error is not reported here: the call stays in `group`, and the writer's thread meets
        // the error again.
        if self.expected == 0
            && self.begin(group, connection::begin_at_once).is_ok_and(|has_begun| has_begun)
            && self.complete(group, None).is_ok()
        {
            self.finish(group);
        }
    }

    /// Hands out the answers.
    fn finish(&mut self, group: &mut Vec<Box<dyn Work>>) {
        let has_opened = mem::take(&mut self.database.has_opened);
        if has_opened || group.iter().any(|work| work.wakes()) {
            self.wake();
        }
        for work in group.drain(..) {
            work.finish();
        }
    }

    /// Answers the whole group without a transaction, if no call has anything to write.
    fn look(&mut self, group: &mut Vec<Box<dyn Work>>) {
        if !group.iter().all(|work| work.may_rest()) {
            return;
        }
        self.is_cut_off = self.opened.check().is_err();
        if self.is_cut_off {
            return;
        }
        // A failed look is repeated or reported by the transaction.
        let database = &mut self.database;
        let mut look = |work: &mut Box<dyn Work>| {
            database.catalogue.refresh(&database.connection).is_ok() && work.look(database)
        };
        group.extract_if(.., |work| look(work)).for_each(|work| work.finish());
    }

    /// Performs the whole group in one transaction, in the fastest grouping possible.
    fn transact_together(
        &mut self,
        group: &mut Vec<Box<dyn Work>>,
        outlet: &Outlet,
        begun: Instant,
    ) -> Result<(), Problem> {
        self.database.grouping = Grouping::Gathered;
        let done = self.transact(group, Some(outlet), begun);
        if !matches!(&done, Err(problem) if problem.is_repetition()) {
            return done;
        }
        self.database.grouping = Grouping::RowByRow;
        self.transact(group, None, begun)
    }

    /// Gives each member its own transaction after the common one failed with `problem`, so that a
    /// bad member fails alone.
    fn answer_each(&mut self, group: &mut Vec<Box<dyn Work>>, problem: &Problem) {
        if !problem.may_spare_others() {
            return group.iter_mut().for_each(|work| work.fail(problem.clone()));
        }
        self.database.grouping = Grouping::Apart;
        for work in mem::take(group) {
            let mut alone = vec![work];
            if let Err(problem) = self.transact(&mut alone, None, Instant::now()) {
                alone.iter_mut().for_each(|work| work.fail(problem.clone()));
            }
            group.append(&mut alone);
        }
    }

    /// Performs the group in one transaction: all of it happens, or nothing. Callers may join if
    /// there is an outlet.
    fn transact(
        &mut self,
        group: &mut Vec<Box<dyn Work>>,
        outlet: Option<&Outlet>,
        begun: Instant,
    ) -> Result<(), Problem> {
        let shortest = group.iter().map(|work| left(&**work, begun)).min().unwrap_or_default();
        let until = Instant::now() + shortest;
        self.begin(group, |connection, turn| {
            connection::begin(connection, turn, until).map(|()| true)
        })?;
        self.complete(group, outlet)
    }

    /// Begins a transaction with the durability that the group needs; returns whether it has begun.
    fn begin(
        &mut self,
        group: &[Box<dyn Work>],
        begin: impl FnOnce(&mut Connection, &mut Turn) -> Result<bool, Fault>,
    ) -> Result<bool, Problem> {
        let begun =
            self.try_begin(group, begin).map_err(|fault| Problem::new(self.opened.file(), fault));
        if let Err(problem) = &begun {
            self.is_cut_off = problem.is_cut_off();
        }
        begun
    }

    fn try_begin(
        &mut self,
        group: &[Box<dyn Work>],
        begin: impl FnOnce(&mut Connection, &mut Turn) -> Result<bool, Fault>,
    ) -> Result<bool, Fault> {
        if self.is_cut_off {
            // Nothing is changed in a file that is gone, so every caller fails.
            self.opened.check()?;
        }
        self.survive(durability(group))?;
        begin(&mut self.database.connection, &mut self.turn)
    }

    /// Performs the group in the transaction that has begun.
    fn complete(
        &mut self,
        group: &mut Vec<Box<dyn Work>>,
        outlet: Option<&Outlet>,
    ) -> Result<(), Problem> {
        let done = self
            .try_complete(group, outlet)
            .map_err(|fault| Problem::new(self.opened.file(), fault));
        self.is_cut_off = matches!(&done, Err(problem) if problem.is_cut_off());
        if done.is_ok() {
            self.transactions.fetch_add(1, Ordering::Relaxed);
            self.database.session.bury();
            self.database.strays.go_on();
            return Ok(());
        }
        self.database.fresh.forget();
        self.database.catalogue.forget();
        self.database.session.spare();
        if !self.database.connection.is_autocommit() {
            _ = self.database.connection.execute_batch("ROLLBACK");
        }
        done
    }

    fn try_complete(
        &mut self,
        group: &mut Vec<Box<dyn Work>>,
        outlet: Option<&Outlet>,
    ) -> Result<(), Fault> {
        self.database.catalogue.refresh(&self.database.connection)?;
        let outlet = outlet.filter(|_| self.synchronous == Durability::Full);
        let (mut done, mut patience) = (0, self.patience);
        loop {
            for work in group.iter_mut().skip(done) {
                if !work.only_adds() {
                    self.database.fresh.write(&self.database.connection)?;
                }
                work.perform(&mut self.database)?;
            }
            done = group.len();
            if !outlet.is_some_and(|outlet| self.board(group, outlet, &mut patience)) {
                break;
            }
        }
        self.database.fresh.write(&self.database.connection)?;
        self.commit()?;
        if let [only] = &**group {
            only.announce();
        }
        // SQLite also commits into a file that has lost its name.
        self.opened.check()
    }

    /// Lets callers that the last transaction answered, and that call again, join this one.
    /// Otherwise the first of them to return would make all others wait for its own transaction.
    /// Subtracts the time waited from `patience`.
    fn board(
        &self,
        group: &mut Vec<Box<dyn Work>>,
        outlet: &Outlet,
        patience: &mut Duration,
    ) -> bool {
        let before = group.len();
        let expected = self.expected.min(ENOUGH);
        if before < expected && !patience.is_zero() {
            let begun = Instant::now();
            outlet.wait_for(expected - before, *patience);
            outlet.take(group);
            *patience = patience.saturating_sub(begun.elapsed());
        }
        group.len() > before
    }

    fn commit(&mut self) -> Result<(), Fault> {
        let begun = Instant::now();
        self.database.connection.prepare_cached("COMMIT")?.execute([])?;
        if self.synchronous == Durability::Full {
            self.patience = begun.elapsed().min(MAX_PATIENCE);
        }
        Ok(())
    }

    /// Sets the durability of the next commit.
    fn survive(&mut self, durability: Durability) -> Result<(), Fault> {
        if self.synchronous != durability {
            connection::set(&self.database.connection, "synchronous", durability.level())?;
            self.synchronous = durability;
        }
        Ok(())
    }

    /// Ends the session in order, if there is one.
    pub(super) fn end(&mut self) {
        if self.database.session.has_begun() {
            let _claim = self.turn.claim();
            self.database.session.end(&mut self.database.connection, &mut self.database.catalogue);
        }
    }
}

/// Returns for how much longer a call waits for a locked file. A worker's operations wait from the
/// time when the writer turned to them. A client's call, whose caller may hold the lock itself,
/// waits from the call: it may have been waiting behind others.
fn left(work: &dyn Work, begun: Instant) -> Duration {
    match work.durability() {
        Durability::Full => left_of_call(work.age(), begun.elapsed()),
        Durability::Normal => PATIENCE.saturating_sub(begun.elapsed()),
    }
}

/// Returns for how much longer a client's call waits that is so old, and for which the writer has
/// tried for so long. A call that is old because of others gets a fair try.
fn left_of_call(age: Duration, tried: Duration) -> Duration {
    PATIENCE.saturating_sub(age).max(FAIR_TRY.saturating_sub(tried))
}

/// Returns the durability that a transaction of this group needs.
fn durability(group: &[Box<dyn Work>]) -> Durability {
    group.iter().map(|work| work.durability()).max().unwrap_or(Durability::Full)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_waits_from_its_beginning_and_gets_a_try_whatever_was_before_it() {
        let seconds = Duration::from_secs;
        assert_eq!(left_of_call(seconds(0), seconds(0)), PATIENCE);
        assert_eq!(left_of_call(seconds(4), seconds(3)), seconds(1));
        assert_eq!(left_of_call(seconds(5), seconds(5)), Duration::ZERO);
        assert_eq!(left_of_call(seconds(60), seconds(0)), FAIR_TRY, "it was behind others");
        assert_eq!(left_of_call(seconds(61), seconds(1)), Duration::ZERO);
    }
}
