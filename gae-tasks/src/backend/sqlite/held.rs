//! Held leases: tasks that were leased together share a row, as long as they fit into one page.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use rusqlite::types::ValueRef;
use rusqlite::{Connection, Row, params};

use super::error::Fault;
use super::members::{Members, Waited};
use super::unreadable;
use crate::backend::{HeldLease, LeaseRef, LeaseToken};
use crate::task::TaskId;
use crate::time::Timestamp;

/// The most tasks of a row: more would take a second page of SQLite's usual 4,096 bytes.
pub(super) const MOST: usize = 160;

/// The number of consecutive row ids reserved for one token; the first is the token itself. A row
/// is split at most once for each of its tasks.
const ROWS: i64 = 256;

pub(super) const ROW: &str = "SELECT id, expires, duration, session, alone, tasks, cancelled, \
                              queue, paid FROM gae_tasks_lease WHERE id = ?1";

/// Selects all rows of a token; for leases that are not in the first row.
pub(super) const OF_TOKEN: &str = "SELECT id, expires, duration, session, alone, tasks, cancelled, \
                                   queue, paid FROM gae_tasks_lease WHERE id BETWEEN ?1 AND ?2";

pub(super) const ALL: &str = "SELECT id, expires, duration, session, alone, tasks, cancelled, \
                              queue, paid FROM gae_tasks_lease";

/// Selects the tasks that were cancelled: each has a row of its own.
pub(super) const CANCELLED: &str = "SELECT id, tasks FROM gae_tasks_lease WHERE cancelled <> 0";

/// Generates a token for tasks that are leased together: the id of their row.
pub(super) fn token() -> LeaseToken {
    LeaseToken::from_bits(LeaseToken::generate().to_bits() & !(ROWS - 1))
}

/// The terms of the leases in a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Terms {
    pub(super) expires: Timestamp,
    pub(super) duration: Duration,
    pub(super) session: i64,
    /// Whether the only task of the row is a suspect that no other suspect may run beside.
    pub(super) alone: bool,
    /// Whether the cancellation of the only task of the row was requested.
    pub(super) cancelled: bool,
    /// The queue of all tasks of the row, if it bounds how many of its tasks run at a time: its
    /// place in the order of turns.
    pub(super) queue: Option<i64>,
    /// Whether each of the leases took a token of its queue's bucket.
    pub(super) paid: bool,
}

/// Returns the first and the last id that rows of a token can have. A token that this backend never
/// gave has no row.
pub(super) const fn rows_of(token: LeaseToken) -> (i64, i64) {
    let first = token.to_bits();
    if first % ROWS == 0 { (first, last_of(first)) } else { (first, first - 1) }
}

/// Whether a task is among those of a row.
pub(super) fn contains(tasks: &[u8], id: TaskId) -> bool {
    Members::read(tasks).is_some_and(|tasks| tasks.contains(id))
}

/// Writes the row of tasks that are leased under `token`.
pub(super) fn give(
    connection: &Connection,
    token: LeaseToken,
    terms: Terms,
    tasks: &Members,
) -> Result<(), Fault> {
    write(connection, token.to_bits(), terms, tasks)
}

fn write(connection: &Connection, id: i64, terms: Terms, tasks: &Members) -> Result<(), Fault> {
    // The queue of a row, and whether its leases took tokens, never change here.
    const WRITE: &str = "INSERT INTO gae_tasks_lease (id, expires, duration, session, alone, \
                         cancelled, tasks, queue, paid) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, \
                         ?9) ON CONFLICT (id) DO UPDATE SET expires = excluded.expires, duration = \
                         excluded.duration, session = excluded.session, alone = excluded.alone, \
                         cancelled = excluded.cancelled, tasks = excluded.tasks";
    let Terms { expires, duration, session, alone, cancelled, queue, paid } = terms;
    let (expires, duration) = (expires.as_micros(), crate::time::micros(duration));
    let tasks = tasks.as_bytes();
    let values = params![id, expires, duration, session, alone, cancelled, tasks, queue, paid];
    connection.prepare_cached(WRITE)?.execute(values)?;
    Ok(())
}

/// One row of the table.
#[derive(Debug)]
struct Batch {
    terms: Terms,
    tasks: Members,
    is_changed: bool,
}

impl Batch {
    /// Reads a row; `None` if it cannot be read.
    fn read(row: &Row<'_>) -> Option<(i64, Self)> {
        let ValueRef::Blob(tasks) = row.get_ref(5).ok()? else { return None };
        let tasks = Members::read(tasks)?;
        let expires = Timestamp::from_micros(row.get(1).ok()?);
        let duration = Duration::from_micros(row.get::<_, i64>(2).ok()?.max(0).unsigned_abs());
        let (session, alone) = (row.get(3).ok()?, row.get(4).ok()?);
        let (queue, paid) = (row.get(7).unwrap_or_default(), row.get(8).unwrap_or_default());
        let cancelled = row.get(6).ok()?;
        let terms = Terms { expires, duration, session, alone, cancelled, queue, paid };
        Some((row.get(0).ok()?, Self { terms, tasks, is_changed: false }))
    }

    /// Ends the lease of a task; returns whether it counted for its queue.
    fn end(&mut self, id: TaskId) -> bool {
        let was_there = self.tasks.remove(id);
        self.is_changed |= was_there;
        was_there && self.terms.queue.is_some()
    }
}

/// The rows that a request has read, to be [written](Self::write) at its end.
#[derive(Debug)]
pub(super) struct Held<'a> {
    connection: &'a Connection,
    batches: BTreeMap<i64, Batch>,
    /// The tokens whose rows have all been read.
    whole: BTreeSet<i64>,
    /// The rows that cannot be read.
    unreadable: BTreeSet<i64>,
    /// The row of each task, once a task was looked up without its token.
    rows: Option<HashMap<TaskId, i64>>,
    /// Whether a lease was ended that counted for a queue.
    has_freed: bool,
}

impl<'a> Held<'a> {
    pub(super) const fn new(connection: &'a Connection) -> Self {
        Self {
            connection,
            batches: BTreeMap::new(),
            whole: BTreeSet::new(),
            unreadable: BTreeSet::new(),
            rows: None,
            has_freed: false,
        }
    }

    /// Returns how the task of a lease waited, and the terms of the lease; `None` if the lease is
    /// not held.
    pub(super) fn find(&mut self, lease: LeaseRef) -> Result<Option<(Waited, Terms)>, Fault> {
        let Some(row) = self.row_of(lease)? else { return Ok(None) };
        Ok(self
            .batches
            .get(&row)
            .and_then(|batch| Some((batch.tasks.waited(lease.id)?, batch.terms))))
    }

    fn row_of(&mut self, LeaseRef { id, token }: LeaseRef) -> Result<Option<i64>, Fault> {
        let first = token.to_bits();
        if first % ROWS != 0 {
            return Ok(None);
        }
        if !self.batches.contains_key(&first) && !self.whole.contains(&first) {
            let mut statement = self.connection.prepare_cached(ROW)?;
            let rows = statement.query(params![first])?;
            self.keep(read(rows)?);
        }
        if self.batches.get(&first).is_some_and(|batch| batch.tasks.contains(id)) {
            return Ok(Some(first));
        }
        self.read_rows_of(first)?;
        let mut rows = self.batches.range(first..=last_of(first));
        Ok(rows.find(|(_, batch)| batch.tasks.contains(id)).map(|(row, _)| *row))
    }

    /// Reads all rows of the token whose first row is `first`.
    fn read_rows_of(&mut self, first: i64) -> Result<(), Fault> {
        if self.whole.insert(first) {
            let mut statement = self.connection.prepare_cached(OF_TOKEN)?;
            let rows = statement.query(params![first, last_of(first)])?;
            self.keep(read(rows)?);
        }
        Ok(())
    }

    /// Keeps rows that were read, except rows that were read before, which may have changes.
    fn keep(&mut self, read: Read) {
        for (row, batch) in read.batches {
            self.batches.entry(row).or_insert(batch);
        }
        self.unreadable.extend(read.unreadable);
    }

    /// Ends a lease that was [found](Self::find).
    pub(super) fn end(&mut self, lease: LeaseRef) -> Result<(), Fault> {
        if let Some(batch) = self.row_of(lease)?.and_then(|row| self.batches.get_mut(&row)) {
            self.has_freed |= batch.end(lease.id);
        }
        Ok(())
    }

    /// Ends the lease of a task, whoever holds it.
    pub(super) fn end_of(&mut self, id: TaskId) -> Result<(), Fault> {
        let row = self.take_row_of(id)?;
        if let Some(batch) = row.and_then(|row| self.batches.get_mut(&row)) {
            self.has_freed |= batch.end(id);
        }
        Ok(())
    }

    /// Records that the cancellation of a leased task was requested; returns whether the task is
    /// leased. It is looked up at most once.
    pub(super) fn cancel(&mut self, id: TaskId) -> Result<bool, Fault> {
        let Some(row) = self.take_row_of(id)? else { return Ok(false) };
        let row = self.split(row, &[id])?;
        if let Some(batch) = self.batches.get_mut(&row) {
            (batch.terms.cancelled, batch.is_changed) = (true, true);
        }
        Ok(true)
    }

    /// Returns the row of a task, whoever holds its lease, and forgets where it is.
    fn take_row_of(&mut self, id: TaskId) -> Result<Option<i64>, Fault> {
        if self.rows.is_none() {
            self.keep(all(self.connection)?);
            let of_row = |(row, batch): (&i64, &Batch)| {
                batch.tasks.iter().map(|(id, _)| (id, *row)).collect::<Vec<_>>()
            };
            self.rows = Some(self.batches.iter().flat_map(of_row).collect());
        }
        Ok(self.rows.as_mut().and_then(|rows| rows.remove(&id)))
    }

    /// Extends leases; returns for each whether it is held.
    pub(super) fn extend(
        &mut self,
        leases: &[LeaseRef],
        expires: Timestamp,
        duration: Duration,
    ) -> Result<Vec<bool>, Fault> {
        let mut extended: BTreeMap<i64, Vec<TaskId>> = BTreeMap::new();
        let mut answers = Vec::with_capacity(leases.len());
        for lease in leases {
            let row = self.row_of(*lease)?;
            answers.push(row.is_some());
            let _: Option<()> = row.map(|row| extended.entry(row).or_default().push(lease.id));
        }
        for (row, mut ids) in extended {
            ids.sort_unstable();
            ids.dedup();
            let row = self.split(row, &ids)?;
            if let Some(batch) = self.batches.get_mut(&row) {
                batch.terms = Terms { expires, duration, ..batch.terms };
                batch.is_changed = true;
            }
        }
        Ok(answers)
    }

    /// Moves these tasks of a row to their own row, because the leases of the others must not be
    /// extended, and returns its id.
    fn split(&mut self, row: i64, ids: &[TaskId]) -> Result<i64, Fault> {
        let first = row - row % ROWS;
        if self.batches.get(&row).is_none_or(|batch| batch.tasks.len() <= ids.len()) {
            return Ok(row);
        }
        self.read_rows_of(first)?;
        let mut numbers = first..=last_of(first);
        let free =
            numbers.find(|row| !self.batches.contains_key(row) && !self.unreadable.contains(row));
        let Some((free, batch)) = free.zip(self.batches.get_mut(&row)) else {
            return Err(Fault::Unfit(
                "leases of one token are in more rows than there can be".to_owned(),
            ));
        };
        let taken = ids.iter().filter_map(|id| Some((*id, batch.tasks.waited(*id)?)));
        let tasks = Members::new(taken.collect::<Vec<_>>());
        ids.iter().for_each(|id| _ = batch.tasks.remove(*id));
        batch.is_changed = true;
        let new = Batch { terms: batch.terms, tasks, is_changed: true };
        self.batches.insert(free, new);
        Ok(free)
    }

    /// Writes the changed rows. Returns whether a lease was ended that counted for its queue, which
    /// may give another task now.
    pub(super) fn write(self) -> Result<bool, Fault> {
        for (row, batch) in self.batches.iter().filter(|(_, batch)| batch.is_changed) {
            if batch.tasks.is_empty() {
                self.connection.prepare_cached(REMOVE)?.execute(params![row])?;
            } else {
                write(self.connection, *row, batch.terms, &batch.tasks)?;
            }
        }
        Ok(self.has_freed)
    }
}

/// Counts the leases of a queue for it that do not count yet: their rows name the queue.
pub(super) fn count(
    connection: &Connection,
    queue: i64,
    mut is_of_queue: impl FnMut(TaskId) -> Result<bool, Fault>,
) -> Result<(), Fault> {
    const COUNT: &str = "UPDATE gae_tasks_lease SET queue = ?2 WHERE id = ?1";
    let mut held = Held::new(connection);
    held.keep(all(connection)?);
    let mut found = Vec::new();
    for (row, batch) in held.batches.iter().filter(|(_, batch)| batch.terms.queue.is_none()) {
        let mut ids = Vec::new();
        for (id, _) in batch.tasks.iter() {
            if is_of_queue(id)? {
                ids.push(id);
            }
        }
        found.push((*row, ids));
    }
    let mut rows = Vec::new();
    for (row, ids) in found.into_iter().filter(|(_, ids)| !ids.is_empty()) {
        rows.push(held.split(row, &ids)?);
    }
    held.write()?;
    let mut count = connection.prepare_cached(COUNT)?;
    rows.into_iter().try_for_each(|row| {
        count.execute(params![row, queue])?;
        Ok(())
    })
}

/// Returns the last row id of the token whose first row is `first`.
const fn last_of(first: i64) -> i64 {
    first.saturating_add(ROWS - 1)
}

/// Returns every lease that can be read, with its session, sorted by task id.
pub(super) fn leases(connection: &Connection) -> Result<Vec<(HeldLease, i64)>, Fault> {
    let mut leases = Vec::new();
    for (row, Batch { terms, tasks, .. }) in all(connection)?.batches {
        let token = LeaseToken::from_bits(row - row % ROWS);
        let held = |(id, _)| HeldLease::new(LeaseRef { id, token }, terms.expires, terms.duration);
        leases.extend(tasks.iter().map(|task| (held(task), terms.session)));
    }
    leases.sort_unstable_by_key(|(held, _): &(HeldLease, i64)| held.lease.id);
    Ok(leases)
}

/// Returns the leases of tasks whose cancellation was requested.
pub(super) fn cancelled(connection: &Connection) -> Result<Vec<LeaseRef>, Fault> {
    let mut statement = connection.prepare_cached(CANCELLED)?;
    let mut rows = statement.query([])?;
    let mut leases = Vec::new();
    while let Some(row) = rows.next()? {
        let ValueRef::Blob(tasks) = row.get_ref(1)? else { continue };
        let (row, tasks) = (row.get::<_, i64>(0)?, Members::read(tasks).unwrap_or_default());
        let token = LeaseToken::from_bits(row - row % ROWS);
        leases.extend(tasks.iter().map(|(id, _)| LeaseRef { id, token }));
    }
    Ok(leases)
}

/// Deletes the rows that cannot be read. Their tasks are put back, and must not be leased a second
/// time by a row that somebody repairs later.
pub(super) fn remove_unreadable(connection: &Connection) -> Result<(), Fault> {
    for row in all(connection)?.unreadable {
        unreadable::lease(connection, row);
        connection.prepare_cached(REMOVE)?.execute(params![row])?;
    }
    Ok(())
}

/// Whether there is a row that cannot be read.
pub(super) fn has_unreadable(connection: &Connection) -> Result<bool, Fault> {
    Ok(!all(connection)?.unreadable.is_empty())
}

const REMOVE: &str = "DELETE FROM gae_tasks_lease WHERE id = ?1";

/// The result of reading rows.
#[derive(Debug, Default)]
struct Read {
    batches: Vec<(i64, Batch)>,
    unreadable: Vec<i64>,
}

fn all(connection: &Connection) -> Result<Read, Fault> {
    let mut statement = connection.prepare_cached(ALL)?;
    let rows = statement.query([])?;
    read(rows)
}

fn read(mut rows: rusqlite::Rows<'_>) -> Result<Read, Fault> {
    let mut read = Read::default();
    while let Some(row) = rows.next()? {
        match Batch::read(row) {
            Some(batch) => read.batches.push(batch),
            None => read.unreadable.extend(row.get::<_, i64>(0)),
        }
    }
    Ok(read)
}
