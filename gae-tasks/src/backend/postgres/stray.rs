//! Tasks that neither wait nor are leased nor are dead: this crate never leaves a task so,
//! but a row can be lost.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use sqlx::{PgConnection, Row};
use uuid::Uuid;

use super::database::Database;
use super::error::Fault;

/// How many tasks a sweep looks at, so that an idle worker stays idle.
const AT_ONCE: i64 = 1000;

/// Whether the task `t` waits, is leased, or is dead.
macro_rules! has_place {
    () => {
        "(t.died IS NOT NULL OR EXISTS (SELECT FROM gae_tasks.waiting w WHERE w.lane = t.lane AND \
         w.standing = least(greatest(coalesce(t.lost_leases, 0), 0), 3)::smallint AND w.timed = \
         coalesce(t.timed, false) AND w.due = t.schedule_time AND w.task = t.id) OR EXISTS \
         (SELECT FROM gae_tasks.lease l WHERE l.task = t.id))"
    };
}

/// A look that takes longer has read past many rows that an old snapshot keeps.
const LONG: Duration = Duration::from_millis(250);

/// Such looks take at most this part of the time.
const SHARE: u32 = 50;

/// Looks at all tasks, some with each sweep.
#[derive(Debug, Default)]
pub(super) struct Strays(Mutex<Round>);

/// The progress among the tasks that were stored when the round began. A round ends even while new
/// tasks keep coming.
#[derive(Debug, Clone, Copy, Default)]
struct Round {
    /// The last task that was looked at, and the last task of the round.
    at: Option<(Uuid, Uuid)>,
    /// Until when nobody looks.
    rests: Option<Instant>,
}

impl Strays {
    /// Returns the stray tasks among those looked at next; none while a long look is followed by
    /// its rest.
    pub(super) async fn look(
        &self,
        database: &Database,
        connection: &mut PgConnection,
    ) -> Result<Vec<Uuid>, Fault> {
        let begun = Instant::now();
        if self.round().rests.is_some_and(|until| begun < until) {
            return Ok(Vec::new());
        }
        let found = self.look_on(database, connection).await?;
        let took = begun.elapsed();
        self.round().rests = (took > LONG).then(|| begun + took.saturating_mul(SHARE));
        Ok(found)
    }

    async fn look_on(
        &self,
        database: &Database,
        connection: &mut PgConnection,
    ) -> Result<Vec<Uuid>, Fault> {
        const LAST: &str = "SELECT id FROM gae_tasks.task ORDER BY id DESC LIMIT 1";
        const LOOK: &str = concat!(
            "SELECT t.id, ",
            has_place!(),
            " FROM gae_tasks.task t WHERE t.id > $1 AND t.id <= $2 ORDER BY t.id LIMIT $3"
        );
        let at = self.round().at;
        let (after, until) = match at {
            Some(at) => at,
            None => {
                let last = database.query(LAST).fetch_optional(&mut *connection).await?;
                let Some(last) = last else { return Ok(Vec::new()) };
                (Uuid::nil(), last.try_get(0)?)
            }
        };
        let query = database.query(LOOK).bind(after).bind(until).bind(AT_ONCE);
        let rows = query.fetch_all(connection).await?;
        let (mut last, mut found) = (until, Vec::new());
        for row in &rows {
            last = row.try_get(0)?;
            if !row.try_get(1)? {
                found.push(last);
            }
        }
        let is_whole = rows.len() as i64 == AT_ONCE && last < until;
        self.round().at = is_whole.then_some((last, until));
        Ok(found)
    }

    fn round(&self) -> MutexGuard<'_, Round> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns those of these tasks, whose rows are locked, that are strays still.
pub(super) async fn still(
    database: &Database,
    connection: &mut PgConnection,
    ids: &[Uuid],
) -> Result<Vec<Uuid>, Fault> {
    const STILL: &str =
        concat!("SELECT t.id FROM gae_tasks.task t WHERE t.id = ANY($1) AND NOT ", has_place!());
    let rows = database.query(STILL).bind(ids).fetch_all(connection).await?;
    rows.iter().map(|row| Ok(row.try_get(0)?)).collect()
}
