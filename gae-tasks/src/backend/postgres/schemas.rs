//! The schemas of payloads: a row for each shape.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use sqlx::{PgConnection, Row};

use super::database::Database;
use super::error::Fault;
use crate::task::Shape;

/// Stores the schemas of these shapes, unless others are stored. What is stored and is not the
/// schema of its shape is replaced.
pub(super) async fn keep(
    database: &Database,
    connection: &mut PgConnection,
    schemas: BTreeMap<Shape, &Arc<[u8]>>,
) -> Result<(), Fault> {
    const KEEP: &str = "INSERT INTO gae_tasks.schemas (shape, schema) SELECT shape, schema FROM \
                        unnest($1::bigint[], $2::bytea[]) AS n(shape, schema) ORDER BY shape ON \
                        CONFLICT (shape) DO NOTHING";
    const MEND: &str = "UPDATE gae_tasks.schemas s SET schema = n.schema FROM \
                        unnest($1::bigint[], $2::bytea[]) AS n(shape, schema) WHERE s.shape = \
                        n.shape";
    let shapes: Vec<_> = schemas.keys().copied().collect();
    let stored = read(database, connection, &shapes).await?;
    let missing: Vec<_> =
        schemas.into_iter().zip(stored).filter(|(_, stored)| stored.is_none()).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let shapes: Vec<_> = missing.iter().map(|((shape, _), _)| bits(*shape)).collect();
    let schemas: Vec<_> = missing.iter().map(|((_, schema), _)| &***schema).collect();
    for text in [KEEP, MEND] {
        let query = database.query(text).bind(&shapes).bind(&schemas);
        let written = query.execute(&mut *connection).await?.rows_affected();
        if written == shapes.len() as u64 {
            break;
        }
    }
    Ok(())
}

/// Returns the schemas of these shapes, in their order; `None` where none is stored.
pub(super) async fn read(
    database: &Database,
    connection: &mut PgConnection,
    shapes: &[Shape],
) -> Result<Vec<Option<Arc<[u8]>>>, Fault> {
    const READ: &str = "SELECT shape, schema FROM gae_tasks.schemas WHERE shape = ANY($1)";
    let numbers: Vec<_> = shapes.iter().map(|shape| bits(*shape)).collect();
    let rows = database.query(READ).bind(numbers).fetch_all(connection).await?;
    let mut found = HashMap::new();
    for row in &rows {
        let shape = Shape::from_bits(row.try_get::<i64, _>(0)?.cast_unsigned());
        let schema: &[u8] = row.try_get(1)?;
        if shape.may_be_of(schema) {
            found.insert(shape, Arc::from(schema));
        }
    }
    Ok(shapes.iter().map(|shape| found.get(shape).cloned()).collect())
}

const fn bits(shape: Shape) -> i64 {
    shape.to_bits().cast_signed()
}
