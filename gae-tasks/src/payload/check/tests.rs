//! What is written and what is refused, beside what postcard makes of the same values.

mod derived;
mod flagged;
mod foreign;
mod random;
mod standard;

use serde::de::DeserializeOwned;

use super::*;
use crate::payload::schema::Schema;
use crate::payload::trace::Tracer;

/// The bytes of one parameter, or the message about it.
fn written<T: Serialize + DeserializeOwned>(value: &T) -> Result<Vec<u8>, String> {
    let schema = schema::<T>();
    let mut bytes = Vec::new();
    let written = append(&mut bytes, schema.nodes(), schema.parameters()[0].node, value);
    written.map(|()| bytes).map_err(|found| found.reason("p"))
}

fn schema<T: DeserializeOwned>() -> Schema {
    Tracer::schema(|tracer| tracer.parameter::<T>("p")).unwrap()
}

/// Checks that a value is written as by postcard, and read back.
fn is_as_by_postcard<T: Serialize + DeserializeOwned>(value: &T) {
    let name = std::any::type_name::<T>();
    let bytes = written(value).unwrap_or_else(|what| panic!("{name}: {what}"));
    assert_eq!(bytes, postcard::to_stdvec(value).unwrap(), "{name}");
    let (read, rest) = postcard::take_from_bytes::<T>(&bytes).unwrap();
    assert!(rest.is_empty(), "{name}");
    assert_eq!(written(&read).map(|again| again.len()), Ok(bytes.len()), "{name}");
}

/// Values of any types that are written and read as themselves.
macro_rules! fine {
    ($($value:expr;)*) => {
        $(is_as_by_postcard(&$value);)*
    };
}
use fine;
