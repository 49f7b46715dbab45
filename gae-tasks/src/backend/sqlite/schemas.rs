//! The schemas of payloads: a row for each shape, written with the first task of the shape.
//!
//! Rows are never deleted, so no task, dead letter or schedule ever lacks its schema. They are
//! small, and there are as many as there were versions of the parameters of tasks. A row that is
//! not the schema of its shape counts as missing, and the next task of the shape replaces it.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension, params};

use super::error::Fault;
use super::unreadable;
use crate::task::Shape;

/// Stores the schema of a shape. A row that cannot be read is replaced.
pub(super) const KEEP: &str = "INSERT INTO gae_tasks_schemas (shape, schema) VALUES (?1, ?2) ON \
                               CONFLICT (shape) DO UPDATE SET schema = excluded.schema";

/// The schemas in memory: those that are stored, or that the transaction under way stores. A
/// transaction that is rolled back forgets all of them.
#[derive(Debug, Default)]
pub(super) struct Schemas {
    known: HashMap<Shape, Arc<[u8]>>,
    /// The shapes without a row when somebody asked for their schemas. Another process may store
    /// them later.
    missing: HashSet<Shape>,
}

impl Schemas {
    /// Stores the schema of a shape, unless one is stored; what is not its schema is not stored.
    /// Returns whether somebody has asked for it in vain.
    pub(super) fn keep(
        &mut self,
        connection: &Connection,
        shape: Shape,
        schema: &Arc<[u8]>,
    ) -> Result<bool, Fault> {
        if !shape.may_be_of(schema) {
            return Ok(false);
        }
        let was_missing = self.missing.contains(&shape);
        if self.find(connection, shape)?.is_none() {
            connection.prepare_cached(KEEP)?.execute(params![bits(shape), &**schema])?;
            self.know(shape, Arc::clone(schema));
        }
        Ok(was_missing)
    }

    /// Whether the schema of a shape is known without asking the file.
    pub(super) fn knows(&self, shape: Shape) -> bool {
        self.known.contains_key(&shape)
    }

    /// Returns the schema of a shape, if one is stored.
    pub(super) fn find(
        &mut self,
        connection: &Connection,
        shape: Shape,
    ) -> Result<Option<Arc<[u8]>>, Fault> {
        if let Some(schema) = self.known.get(&shape) {
            return Ok(Some(Arc::clone(schema)));
        }
        let found = read(connection, shape)?;
        match &found {
            Some(schema) => self.know(shape, Arc::clone(schema)),
            None => _ = self.missing.insert(shape),
        }
        Ok(found)
    }

    /// Looks again for schemas that were missing, after another connection has changed the file.
    /// Returns whether one was found.
    pub(super) fn refresh(&mut self, connection: &Connection) -> Result<bool, Fault> {
        let mut found = false;
        for shape in self.missing.iter().copied().collect::<Vec<_>>() {
            found |= self.find(connection, shape)?.is_some();
        }
        Ok(found)
    }

    fn know(&mut self, shape: Shape, schema: Arc<[u8]>) {
        self.missing.remove(&shape);
        self.known.insert(shape, schema);
    }
}

/// Returns the schemas of these shapes, in their order.
pub(super) fn read_all(
    connection: &Connection,
    shapes: &[Shape],
) -> Result<Vec<Option<Arc<[u8]>>>, Fault> {
    shapes.iter().map(|shape| read(connection, *shape)).collect()
}

fn read(connection: &Connection, shape: Shape) -> Result<Option<Arc<[u8]>>, Fault> {
    const READ: &str = "SELECT schema FROM gae_tasks_schemas WHERE shape = ?1";
    let mut statement = connection.prepare_cached(READ)?;
    let found: Option<Option<Vec<u8>>> =
        statement.query_row(params![bits(shape)], |row| Ok(row.get(0).ok())).optional()?;
    let is_stored = found.is_some();
    let schema = found.flatten().filter(|schema| shape.may_be_of(schema));
    if is_stored && schema.is_none() {
        unreadable::row(connection, "gae_tasks_schemas", shape);
    }
    Ok(schema.map(Into::into))
}

const fn bits(shape: Shape) -> i64 {
    shape.to_bits().cast_signed()
}
