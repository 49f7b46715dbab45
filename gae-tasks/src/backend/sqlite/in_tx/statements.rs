//! Statements in a transaction of the caller's own, written once for all libraries that run them.

use std::fmt;

use crate::outcome::BoxError;

/// A library's connection. The statements run when a method is called or when its future is
/// polled, whichever the library does.
pub(super) trait Statements {
    /// Runs a statement and returns how many rows it has changed.
    fn run(
        &mut self,
        sql: &'static str,
        values: &[Value<'_>],
    ) -> impl Future<Output = Result<u64, Failed>> + Send;

    /// Runs a statement and returns its rows.
    fn read(
        &mut self,
        sql: &'static str,
        values: &[Value<'_>],
    ) -> impl Future<Output = Result<Vec<Row>, Failed>> + Send;
}

/// The value of a parameter.
#[derive(Clone, Copy)]
pub(super) enum Value<'a> {
    Null,
    Integer(i64),
    Text(&'a str),
    Blob(&'a [u8]),
}

impl From<i64> for Value<'_> {
    fn from(number: i64) -> Self {
        Self::Integer(number)
    }
}

impl<'a> From<&'a str> for Value<'a> {
    fn from(text: &'a str) -> Self {
        Self::Text(text)
    }
}

impl<'a> From<&'a [u8]> for Value<'a> {
    fn from(bytes: &'a [u8]) -> Self {
        Self::Blob(bytes)
    }
}

impl<'a, T: Into<Value<'a>>> From<Option<T>> for Value<'a> {
    fn from(value: Option<T>) -> Self {
        value.map_or(Value::Null, Into::into)
    }
}

/// The columns of a row. A column of another type than these is `Null`.
#[derive(Default)]
pub(super) struct Row(pub(super) Vec<Column>);

/// The value of a column.
pub(super) enum Column {
    Null,
    Integer(i64),
    Text(String),
    Blob(Vec<u8>),
}

impl Row {
    /// Returns the number in a column; `None` if it holds something else.
    pub(super) fn integer(&self, column: usize) -> Option<i64> {
        match self.0.get(column)? {
            Column::Integer(number) => Some(*number),
            _ => None,
        }
    }

    /// Returns the text in a column; `None` if it holds something else.
    pub(super) fn text(&self, column: usize) -> Option<&str> {
        match self.0.get(column)? {
            Column::Text(text) => Some(text),
            _ => None,
        }
    }

    /// Returns the bytes in a column; `None` if it holds something else.
    pub(super) fn blob(&self, column: usize) -> Option<&[u8]> {
        match self.0.get(column)? {
            Column::Blob(bytes) => Some(bytes),
            _ => None,
        }
    }

    /// Whether a column is null.
    pub(super) fn is_null(&self, column: usize) -> bool {
        matches!(self.0.get(column), Some(Column::Null))
    }
}

/// A statement that failed.
#[derive(Debug)]
pub(super) struct Failed {
    /// SQLite's extended result code; `None` if the library failed.
    pub(super) code: Option<i32>,
    pub(super) source: BoxError,
}

impl Failed {
    /// Creates the failure of a library.
    pub(super) fn of(code: Option<i32>, source: impl Into<BoxError>) -> Self {
        Self { code, source: source.into() }
    }
}

/// Shows no value: it might be a payload.
impl fmt::Debug for Value<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Value")
    }
}
