//! A type before and after an edit: what becomes of values, here and in JSON.

use std::fmt::Debug;
use std::sync::Arc;

use gae_tasks::Schema;
use gae_tasks::testing::pair::{self, Reader, Resolution};
use serde::{Deserialize, Serialize};

use crate::edit::Edit;
use crate::random::Random;
use crate::values::{self, Unsaid};

/// Reads bytes of the type after.
type ReadInPlace = fn(&[u8]) -> Result<String, String>;

/// Two types, and what was done to one to make the other.
pub(crate) struct Pair {
    pub(crate) number: usize,
    pub(crate) edits: &'static [Edit],
    /// The schemas as the generator expects them.
    before: &'static str,
    after: &'static str,
    traced: fn() -> [Schema; 2],
    written: fn(&'static Schema, &mut Random) -> Written,
    /// Where both have the same schema.
    in_place: Option<ReadInPlace>,
    by_name: fn(&Resolution, &[u8]) -> Result<String, String>,
    by_json: fn(serde_json::Value) -> Result<String, String>,
}

/// A value of the type before.
#[derive(Debug)]
pub(crate) struct Written {
    #[expect(dead_code, reason = "it is shown")]
    pub(crate) shown: String,
    pub(crate) unsaid: Unsaid,
    pub(crate) json: Result<serde_json::Value, String>,
    pub(crate) bytes: Vec<u8>,
}

/// What becomes of one: how the value after is shown, or why there is none.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) written: Written,
    pub(crate) here: Result<String, String>,
    /// `None` if JSON cannot say the value.
    pub(crate) json: Option<Result<String, String>>,
}

/// A pair whose schemas were traced and compared.
#[derive(Debug)]
pub(crate) struct Compared {
    writer: &'static Schema,
    resolution: Result<Resolution, String>,
}

impl Pair {
    pub(crate) const fn of<B, A>(
        number: usize,
        edits: &'static [Edit],
        before: &'static str,
        after: &'static str,
    ) -> Self
    where
        B: Serialize + for<'de> Deserialize<'de> + Debug,
        A: for<'de> Deserialize<'de> + Debug,
    {
        Self {
            number,
            edits,
            before,
            after,
            traced: traced::<B, A>,
            written: written::<B>,
            in_place: None,
            by_name: |resolution, bytes| shown(pair::read_by_name::<A>(resolution, bytes)),
            by_json: |json| shown(serde_json::from_value::<A>(json)),
        }
    }

    /// A pair of one schema: payloads are read in place too.
    pub(crate) const fn same<B, A>(
        number: usize,
        edits: &'static [Edit],
        schema: &'static str,
    ) -> Self
    where
        B: Serialize + for<'de> Deserialize<'de> + Debug,
        A: for<'de> Deserialize<'de> + Debug,
    {
        Self {
            in_place: Some(|bytes| shown(pair::read_in_place::<A>(bytes))),
            ..Self::of::<B, A>(number, edits, schema, schema)
        }
    }

    /// Traces both types and compares them.
    ///
    /// # Panics
    /// A schema is not the one that the generator expects.
    pub(crate) fn compared(&self) -> Compared {
        let schemas = (self.traced)();
        for (schema, expected) in schemas.iter().zip([self.before, self.after]) {
            let parsed: Schema = expected.parse().unwrap_or_else(|e| panic!("{expected}: {e}"));
            assert_eq!(schema, &parsed, "pair {}", self.number);
        }
        let [before, after] = schemas;
        let is_same = before.shape() == after.shape();
        assert_eq!(is_same, self.in_place.is_some(), "pair {}", self.number);
        let reader = Reader { schema: &after, parameters: &[], ignores: &[] };
        let resolution = Resolution::between(Arc::new(before.clone()), &reader);
        let resolution = resolution.map_err(|difference| difference.to_string());
        Compared { writer: Box::leak(Box::new(before)), resolution }
    }

    /// Makes a value, and reads it as the other type.
    pub(crate) fn outcome(&self, compared: &Compared, random: &mut Random) -> Outcome {
        let written = (self.written)(compared.writer, random);
        let by_name = match &compared.resolution {
            Ok(resolution) => (self.by_name)(resolution, &written.bytes),
            Err(difference) => Err(difference.clone()),
        };
        if let Some(in_place) = self.in_place {
            // As a worker reads it.
            let in_place = in_place(&written.bytes);
            assert_eq!(in_place, by_name, "pair {}, {written:?}", self.number);
        }
        let json = written.json.clone().ok().map(self.by_json);
        Outcome { written, here: by_name, json }
    }
}

fn traced<B: for<'de> Deserialize<'de>, A: for<'de> Deserialize<'de>>() -> [Schema; 2] {
    [pair::traced::<B>(), pair::traced::<A>()].map(|schema| schema.expect("a schema"))
}

fn written<B: Serialize + for<'de> Deserialize<'de> + Debug>(
    schema: &'static Schema,
    random: &mut Random,
) -> Written {
    let (value, unsaid) = values::value::<B>(random);
    let shown = format!("{value:?}");
    let bytes = pair::written(schema, &value).unwrap_or_else(|error| panic!("{shown}: {error}"));
    let json = serde_json::to_value(&value).map_err(|error| error.to_string());
    Written { shown, unsaid, json, bytes }
}

fn shown<T: Debug, E: std::error::Error>(read: Result<T, E>) -> Result<String, String> {
    read.map(|value| format!("{value:?}")).map_err(|error| error.to_string())
}
