//! Tasks in a transaction of the application's own: stored, or completed, when it commits.
//!
//! Nothing of what is written here is remembered in this process, because the caller may roll back:
//! what commits is read like the changes of another process. All statements are in a savepoint of
//! this crate, which the library's file releases or rolls back.

mod complete;
mod lane;
mod names;
mod of_rusqlite;
#[cfg(feature = "sqlx-sqlite")]
mod of_sqlx;
mod place;
mod refusal;
mod statements;
mod tasks;
mod unique;

use self::place::Place;
use self::statements::Statements;
use super::database::moment;
use crate::backend::transaction::{CompleteInTx, StoreInTx};
use crate::error::Error;
use crate::task::Deferred;

/// The method, for errors.
const COMPLETE_IN: &str = "complete_in";

/// Stores the tasks of an order. If `judge` refuses the answers, the caller rolls back to the
/// savepoint.
async fn store<A>(
    statements: &mut impl Statements,
    order: StoreInTx,
    judge: impl FnOnce(Vec<Deferred>) -> Result<A, Error>,
) -> Result<A, Error> {
    let StoreInTx { call, home, now, tasks } = order;
    let place = Place::new(home, call)?;
    place.enter(statements).await?;
    let stored = tasks::store(statements, &tasks, moment(now)).await;
    judge(stored.map_err(|failed| place.failed(failed))?)
}

/// Completes the task of an order.
async fn complete(
    statements: &mut impl Statements,
    order: CompleteInTx,
    done: impl FnOnce(),
) -> Result<(), Error> {
    let place = Place::new(order.home.clone(), COMPLETE_IN)?;
    place.enter(statements).await?;
    let completed = complete::complete(statements, &order, moment(order.now)).await;
    completed.map_err(|failed| place.failed(failed))?.map_err(|problem| place.refused(problem))?;
    done();
    Ok(())
}
