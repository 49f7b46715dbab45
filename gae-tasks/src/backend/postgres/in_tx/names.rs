//! Tasks with names, stored in a savepoint: another open transaction may hold one of the names.

use std::collections::{HashMap, HashSet};

use sqlx::{AssertSqlSafe, Connection, PgConnection, Row, raw_sql};
use uuid::Uuid;

use super::place::{TRIES, prepare_again, query, wake_after};
use super::refusal;
use crate::backend::NewTask;
use crate::backend::home::{PostgresSchema, Prepared};
use crate::backend::postgres::database::moment;
use crate::backend::postgres::epoch::started;
use crate::backend::postgres::rows::{Rows, given, stored};
use crate::backend::postgres::task::id;
use crate::backend::postgres::unique;
use crate::error::Error;
use crate::queue::QueueName;
use crate::task::{Deferred, TaskId, TaskName, UniqueKey};
use crate::time::Now;

/// Bounds the wait for a name; returns what the bound was.
macro_rules! patience {
    () => {
        "SELECT own, set_config('lock_timeout', CASE own WHEN '0' THEN '2s' ELSE own END, true) \
         FROM (SELECT current_setting('lock_timeout') AS own OFFSET 0) s"
    };
}

/// In a transaction: a savepoint, in which names that another open transaction holds are waited for
/// 2 seconds, or as long as the application says. Returns what the application says.
const BEGIN: &str = concat!("SAVEPOINT gae_tasks; ", patience!());

/// Takes back what was done since the savepoint.
const UNDO: &str = "ROLLBACK TO SAVEPOINT gae_tasks; RELEASE SAVEPOINT gae_tasks";

/// Stores tasks, of which those with names only if the names are free; in sorted order, so that two
/// transactions do not wait for each other in a circle. `$14` are the queues. Returns the number of
/// the transaction, whether the tables are those of the client, whether the server is the one that
/// the tasks were prepared on, and the tasks that have their names.
const STORE: &str = concat!(
    "WITH here AS (SELECT ",
    started!(),
    " IS NOT DISTINCT FROM $15 AS is_same FROM gae_tasks.version WHERE identity = $13), ",
    given!(),
    ", held AS (INSERT INTO gae_tasks.name (queue, name, task) SELECT q.queue, g.name, g.id FROM \
      given g JOIN unnest($2::uuid[], $14::text[]) AS q(id, queue) ON q.id = g.id CROSS JOIN here \
      WHERE here.is_same AND g.name IS NOT NULL ORDER BY q.queue COLLATE \"C\", g.name COLLATE \
      \"C\" ON CONFLICT (queue, name) DO UPDATE SET task = excluded.task, until = NULL WHERE \
      gae_tasks.name.until <= (SELECT now FROM m) RETURNING task), ",
    stored!(
        "FROM given g CROSS JOIN here WHERE here.is_same AND (g.name IS NULL OR EXISTS (SELECT \
         FROM held h WHERE h.task = g.id))"
    ),
    " SELECT pg_current_xact_id()::text, EXISTS (SELECT FROM here), EXISTS (SELECT FROM here WHERE \
     is_same), ARRAY(SELECT task FROM held)"
);

/// Takes back a statement that failed, and goes on in the savepoint.
const AGAIN: &str = concat!("ROLLBACK TO SAVEPOINT gae_tasks; ", patience!());

/// The holders of names, in their order.
pub(in crate::backend::postgres) const HOLDERS: &str = "SELECT n.task FROM unnest($1::text[], \
     $2::text[]) WITH ORDINALITY AS g(queue, name, no) LEFT JOIN LATERAL (SELECT n.task FROM \
     gae_tasks.name n WHERE n.queue = g.queue AND n.name = g.name OFFSET 0) n ON true ORDER BY \
     g.no";

/// The name of a task in its queue.
type Name = (QueueName, TaskName);

/// A task with its lane.
type Laned = (NewTask, i64);

/// What was stored.
struct Stored {
    transaction: String,
    held: HashSet<TaskId>,
}

/// A call in the caller's transaction.
struct Call<'a> {
    connection: &'a mut PgConnection,
    schema: &'a dyn PostgresSchema,
    name: &'static str,
    now: Now,
    /// When the server started that the tasks were prepared on last.
    server: Option<i64>,
    /// The lanes there, if the tasks were prepared again, and how often they were.
    lanes: HashMap<TaskId, i64>,
    tries: usize,
}

/// Stores tasks. If `judge` refuses the answers, what was stored is taken back.
pub(super) async fn store<A>(
    connection: &mut PgConnection,
    of: (&dyn PostgresSchema, &'static str),
    prepared: &Prepared,
    now: Now,
    judge: impl FnOnce(Vec<Deferred>) -> Result<A, Error>,
) -> Result<A, Error> {
    match begin(connection).await {
        Err(error) if refusal::is_of_no_transaction(&error) => {}
        begun => {
            let patience = begun.map_err(refusal::unbegun)?;
            return store_in(connection, &patience, of, prepared, now, judge).await;
        }
    }
    // The driver rolls this transaction back if the call is dropped.
    let mut tx = connection.begin().await.map_err(refusal::unbegun)?;
    let patience = begin(&mut tx).await.map_err(refusal::unbegun)?;
    match store_in(&mut tx, &patience, of, prepared, now, judge).await {
        Ok(answer) => {
            tx.commit().await.map_err(refusal::unkept)?;
            Ok(answer)
        }
        Err(error) => match tx.rollback().await {
            Ok(()) => Err(error),
            Err(_) => Err(refusal::over(error)),
        },
    }
}

/// Sets the savepoint; returns how long the application waits for locks.
async fn begin(connection: &mut PgConnection) -> Result<String, sqlx::Error> {
    raw_sql(BEGIN).fetch_one(connection).await?.try_get(0)
}

/// Stores tasks in the savepoint, which is over then.
async fn store_in<A>(
    connection: &mut PgConnection,
    patience: &str,
    (schema, name): (&dyn PostgresSchema, &'static str),
    prepared: &Prepared,
    now: Now,
    judge: impl FnOnce(Vec<Deferred>) -> Result<A, Error>,
) -> Result<A, Error> {
    let (server, lanes) = (prepared.server, HashMap::new());
    let mut call = Call { connection, schema, name, now, server, lanes, tries: 1 };
    let stored = call.store(&prepared.tasks).await;
    match stored.and_then(|(answers, transaction)| Ok((judge(answers)?, transaction))) {
        Ok((answer, transaction)) => {
            let end = format!("SET LOCAL lock_timeout = '{patience}'; RELEASE SAVEPOINT gae_tasks");
            let ended = raw_sql(AssertSqlSafe(end)).execute(call.connection).await;
            ended.map_err(refusal::unkept)?;
            wake_after(schema, &transaction);
            Ok(answer)
        }
        Err(error) => match raw_sql(UNDO).execute(call.connection).await {
            Ok(_) => Err(error),
            Err(_) => Err(refusal::over(error)),
        },
    }
}

impl Call<'_> {
    /// Returns the answer for each task, and the number of the transaction.
    async fn store(&mut self, tasks: &[Laned]) -> Result<(Vec<Deferred>, String), Error> {
        let mut holders: HashMap<Name, TaskId> = HashMap::new();
        // The first task of a batch gets the name.
        for (task, _) in tasks {
            if let Some(name) = name_of(task) {
                holders.entry(name).or_insert(task.spec.id);
            }
        }
        let is_first = |(task, _): &&Laned| {
            let is_holder = |name: Name| holders.get(&name) == Some(&task.spec.id);
            task.spec.unique.is_none() && name_of(task).is_none_or(is_holder)
        };
        let mut left: Vec<_> = tasks.iter().filter(is_first).collect();
        let stored = loop {
            match self.write(&left).await {
                Ok(Some(stored)) => break stored,
                Ok(None) => self.prepare_again(tasks).await?,
                Err(error) if refusal::is_of_serialization(&error) => {
                    let unseen = self.unseen(&left, error).await?;
                    left.retain(|(task, _)| {
                        name_of(task).is_none_or(|name| !unseen.contains_key(&name))
                    });
                    holders.extend(unseen);
                }
                Err(error) => return Err(self.refused(&left, error)),
            }
        };
        let in_use = left
            .iter()
            .filter_map(|(task, _)| name_of(task).filter(|_| !stored.held.contains(&task.spec.id)));
        holders.extend(self.holders(in_use.collect()).await?);
        // After the statement that knows whether the tables are those of the client.
        let keyed = self.store_keyed(tasks).await?;
        let answer = |(task, _): &Laned| {
            if let Some(answer) = keyed.get(&task.spec.id) {
                return *answer;
            }
            let holder = name_of(task).and_then(|name| holders.get(&name).copied());
            let of = holder.unwrap_or(task.spec.id);
            Deferred::new(of, of == task.spec.id)
        };
        Ok((tasks.iter().map(answer).collect(), stored.transaction))
    }

    /// Stores tasks; `None` if the transaction is not on the server that they were prepared on.
    async fn write(&mut self, tasks: &[&Laned]) -> Result<Option<Stored>, sqlx::Error> {
        let mut sorted = tasks.to_vec();
        sorted.sort_by_key(|(task, _)| name_of(task));
        let queues: Vec<_> = sorted.iter().map(|(task, _)| task.spec.queue.as_str()).collect();
        let lanes = &self.lanes;
        let rows = Rows::of(sorted.iter().map(|(task, lane)| {
            let lane = lanes.get(&task.spec.id).unwrap_or(lane);
            (task, *lane)
        }))
        .map_err(|_| sqlx::Error::Encode("the retry settings cannot be stored".into()))?;
        let query = rows.bind(query(self.schema, STORE), self.now);
        let query = query.bind(self.schema.identity()).bind(queues).bind(self.server);
        let row = query.fetch_one(&mut *self.connection).await?;
        if !row.try_get::<bool, _>(1)? {
            return Err(sqlx::Error::RowNotFound);
        }
        if !row.try_get::<bool, _>(2)? {
            return Ok(None);
        }
        let held = row.try_get::<Vec<Uuid>, _>(3)?.into_iter().map(id).collect();
        Ok(Some(Stored { transaction: row.try_get(0)?, held }))
    }

    /// Stores the tasks that have keys; returns the answer for each.
    async fn store_keyed(&mut self, tasks: &[Laned]) -> Result<HashMap<TaskId, Deferred>, Error> {
        let is_keyed = |(task, _): &&Laned| task.spec.unique.is_some();
        let keyed: Vec<_> = tasks.iter().filter(is_keyed).collect();
        let schema = self.schema;
        let text = |text: &'static str| sqlx::query(schema.sql(text)).persistent(false);
        let tasks = keyed.iter().map(|(task, _)| task);
        let locked = unique::lock(&text, &mut *self.connection, tasks).await;
        locked.map_err(|error| self.refused(&keyed, error))?;
        let mut answers = HashMap::new();
        for laned in keyed {
            let (task, lane) = laned;
            let lane = *self.lanes.get(&task.spec.id).unwrap_or(lane);
            let stored = unique::store(&text, &mut *self.connection, self.now, (task, lane)).await;
            let (answer, _) = stored.map_err(|error| self.refused(&[laned], error))?;
            answers.insert(task.spec.id, answer);
        }
        Ok(answers)
    }

    /// Prepares the tasks for the server that the transaction is on.
    async fn prepare_again(&mut self, tasks: &[Laned]) -> Result<(), Error> {
        self.tries += 1;
        if self.tries > TRIES {
            return Err(refusal::astray(self.name, self.schema));
        }
        let tasks = tasks.iter().map(|(task, _)| task.clone()).collect();
        let prepared = prepare_again(self.schema, tasks).await?;
        let lane = |(task, lane): &Laned| (task.spec.id, *lane);
        self.lanes = prepared.tasks.iter().map(lane).collect();
        self.server = prepared.server;
        Ok(())
    }

    /// Returns the holders of names that were taken by transactions that this one cannot see.
    async fn unseen(
        &mut self,
        tasks: &[&Laned],
        error: sqlx::Error,
    ) -> Result<HashMap<Name, TaskId>, Error> {
        let failed = |error| refusal::failed(self.name, self.schema, error);
        raw_sql(AGAIN).execute(&mut *self.connection).await.map_err(failed)?;
        let names: Vec<_> = tasks.iter().filter_map(|(task, _)| name_of(task)).collect();
        let holders = self.schema.holders(names.clone()).await?;
        let unseen: HashMap<_, _> =
            names.into_iter().zip(holders).filter_map(|(name, of)| Some((name, of?))).collect();
        if unseen.is_empty() { Err(failed(error)) } else { Ok(unseen) }
    }

    /// Returns the holders of these names, as this transaction sees them.
    async fn holders(&mut self, names: Vec<Name>) -> Result<HashMap<Name, TaskId>, Error> {
        if names.is_empty() {
            return Ok(HashMap::new());
        }
        let queues: Vec<_> = names.iter().map(|(queue, _)| queue.as_str()).collect();
        let texts: Vec<_> = names.iter().map(|(_, name)| name.as_str()).collect();
        // Planned anew, at the price of a round trip: names are seldom in use.
        let found: Result<Vec<Option<Uuid>>, _> = sqlx::query_scalar(self.schema.sql(HOLDERS))
            .persistent(false)
            .bind(queues)
            .bind(texts)
            .fetch_all(&mut *self.connection)
            .await;
        let found = found.map_err(|error| refusal::failed(self.name, self.schema, error))?;
        Ok(names.into_iter().zip(found).filter_map(|(name, of)| Some((name, id(of?)))).collect())
    }

    fn refused(&self, tasks: &[&Laned], error: sqlx::Error) -> Error {
        if matches!(error, sqlx::Error::RowNotFound) {
            return refusal::elsewhere(self.name, self.schema);
        }
        let name = |(task, _): &&Laned| {
            let key = || task.spec.unique.map(UniqueKey::in_names);
            let name = task.spec.name.as_ref().map(TaskName::to_string).or_else(key)?;
            Some((task.spec.queue.clone(), name))
        };
        let names: Vec<_> = tasks.iter().filter_map(name).collect();
        match names.as_slice() {
            [(queue, name), others @ ..] if refusal::is_of_a_lock(&error) => Error::Busy {
                name: match others {
                    [] => name.clone(),
                    others => format!("{name}, or one of {} others", others.len()),
                },
                queue: queue.to_string(),
            },
            _ => refusal::failed(self.name, self.schema, error),
        }
    }
}

fn name_of(task: &NewTask) -> Option<Name> {
    Some((task.spec.queue.clone(), task.spec.name.clone()?))
}
