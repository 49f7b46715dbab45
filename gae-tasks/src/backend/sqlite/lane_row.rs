//! The parts of a lane as columns of rows.

use rusqlite::Row;

use super::error::Fault;
use crate::queue::QueueName;
use crate::task::{Kind, Route, Shape};

/// Reads the queue, kind, shape and version of a lane from `row`, beginning at column `first`.
pub(super) fn names_of_lane(row: &Row<'_>, first: usize) -> Option<(QueueName, Route, u8)> {
    let queue = queue_name(row.get(first).ok()?).ok()?;
    let kind = kind(row.get(first + 1).ok()?).ok()?;
    Some((queue, Route::new(kind, shape(row.get(first + 2).ok()?)), row.get(first + 3).ok()?))
}

pub(super) fn queue_name(text: String) -> Result<QueueName, Fault> {
    QueueName::new(text).map_err(|_| Fault::unreadable("the name of a queue"))
}

pub(super) fn kind(text: String) -> Result<Kind, Fault> {
    Kind::new(text).map_err(|_| Fault::unreadable("the kind of a task"))
}

pub(super) const fn shape(bits: i64) -> Shape {
    Shape::from_bits(bits.cast_unsigned())
}
