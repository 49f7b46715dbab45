//! How the work of a transaction is done: gathered, row by row, or each apart from the others.

use rusqlite::Connection;

use super::catalogue::Catalogue;
use super::error::Fault;

/// How a transaction is put together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Grouping {
    /// Rows are gathered into statements that write many.
    Gathered,
    /// Row by row, so that the result of each is known.
    RowByRow,
    /// Row by row, and a failed row leaves nothing behind, because its neighbours are kept.
    Apart,
}

/// Does `work` for one of many. With [`Grouping::Apart`], work that the database refuses leaves
/// nothing behind and its fault is returned as the inner error; otherwise the fault fails the whole
/// transaction.
pub(super) fn one<T>(
    grouping: Grouping,
    connection: &Connection,
    catalogue: &mut Catalogue,
    work: impl FnOnce(&mut Catalogue) -> Result<T, Fault>,
) -> Result<Result<T, Fault>, Fault> {
    if grouping != Grouping::Apart {
        return work(catalogue).map(Ok);
    }
    connection.execute_batch("SAVEPOINT item")?;
    match work(catalogue) {
        Err(fault) if fault.is_of_data() => {
            connection.execute_batch("ROLLBACK TO item; RELEASE item")?;
            catalogue.forget();
            catalogue.refresh(connection)?;
            Ok(Err(fault))
        }
        Err(fault) => Err(fault),
        Ok(done) => {
            connection.execute_batch("RELEASE item")?;
            Ok(Ok(done))
        }
    }
}
