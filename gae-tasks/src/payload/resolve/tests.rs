//! Pairs of types, before and after an edit, and what becomes of values that were written before.

mod crates;
mod enums;
mod fields;
mod hostile;
mod parameters;
mod plain;
mod shown;
mod words;

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::Arc;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::*;
use crate::payload::{Decoder, Encoder, Tracer, UnreadableError};

/// What becomes of a value.
#[derive(Debug, PartialEq)]
enum Outcome<T> {
    /// The schemas are the same.
    Same(T),
    Is(T),
    /// No value of the pair of schemas is read, because ..
    Waits(String),
    /// This one is not, because ..
    Fails(String),
}

fn schema<T: DeserializeOwned>() -> Schema {
    Tracer::schema(|tracer| tracer.parameter::<T>("p")).unwrap()
}

fn encoded<T: Serialize>(value: &T) -> Vec<u8> {
    let mut encoder = Encoder::default();
    encoder.parameter("p", value).unwrap();
    encoder.into_bytes()
}

fn resolution<B: DeserializeOwned, A: DeserializeOwned>(
    ignores: &[&str],
) -> Result<Resolution, Difference> {
    let reader = Reader { schema: &schema::<A>(), parameters: &[PLAIN], ignores };
    Resolution::between(Arc::new(schema::<B>()), &reader)
}

/// A parameter without attributes.
const PLAIN: Parameter =
    Parameter { name: "p", aliases: &[], has_default: false, is_sensitive: false };

fn read<A: DeserializeOwned>(resolution: &Resolution, bytes: &[u8]) -> Result<A, UnreadableError> {
    let mut decoder = Decoder::resolved(resolution, bytes)?;
    let value = decoder.parameter("p")?;
    decoder.end()?;
    Ok(value)
}

fn outcome<B, A>(before: &B, ignores: &[&str]) -> Outcome<A>
where
    B: Serialize + DeserializeOwned,
    A: DeserializeOwned,
{
    let is_same = schema::<B>().shape() == schema::<A>().shape();
    match resolution::<B, A>(ignores) {
        Err(difference) => Outcome::Waits(difference.to_string()),
        Ok(resolution) => match read::<A>(&resolution, &encoded(before)) {
            Ok(value) if is_same => Outcome::Same(value),
            Ok(value) => Outcome::Is(value),
            Err(error) => Outcome::Fails(error.to_string()),
        },
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Within<T> {
    before: u8,
    it: T,
    after: String,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
enum Variant<T> {
    Other,
    One(T),
    Two(u8, T),
    Named { it: T, after: Option<bool> },
}

/// Values of a type as parts of others, each as what it becomes in all of them.
macro_rules! nested {
    ($before:expr, $expected:expr) => {{
        let (before, expected) = ($before, $expected);
        let one = (before.clone(), expected.clone());
        expect(before, expected);
        let within = |it| Within { before: 7, it, after: "end".to_owned() };
        expect(within(one.0.clone()), one.1.clone().map(within));
        expect(Some(one.0.clone()), one.1.clone().map(Some));
        expect(vec![one.0.clone(), one.0.clone()], one.1.clone().map(|it| vec![it.clone(), it]));
        expect((one.0.clone(), 3_u16), one.1.clone().map(|it| (it, 3_u16)));
        let map = |it| BTreeMap::from([("key".to_owned(), it)]);
        expect(map(one.0.clone()), one.1.clone().map(map));
        expect(Variant::One(one.0.clone()), one.1.clone().map(Variant::One));
        expect(Variant::Two(1, one.0.clone()), one.1.clone().map(|it| Variant::Two(1, it)));
        expect(
            Variant::Named { it: one.0, after: None },
            one.1.map(|it| Variant::Named { it, after: None }),
        );
    }};
}
use nested;

/// What is expected of a value of another type.
#[derive(Debug, Clone)]
enum Expected<A> {
    Same(A),
    Is(A),
    Waits(&'static str),
    Fails(&'static str),
}

impl<A> Expected<A> {
    fn map<B>(self, to: impl FnOnce(A) -> B) -> Expected<B> {
        match self {
            Self::Same(value) => Expected::Same(to(value)),
            Self::Is(value) => Expected::Is(to(value)),
            Self::Waits(words) => Expected::Waits(words),
            Self::Fails(words) => Expected::Fails(words),
        }
    }
}

fn expect<B, A>(before: B, expected: Expected<A>)
where
    B: Serialize + DeserializeOwned + Debug,
    A: DeserializeOwned + Debug + PartialEq,
{
    let outcome = outcome::<B, A>(&before, &[]);
    let is_expected = match (&outcome, &expected) {
        (Outcome::Same(value), Expected::Same(expected))
        | (Outcome::Is(value), Expected::Is(expected)) => value == expected,
        (Outcome::Waits(words), Expected::Waits(expected))
        | (Outcome::Fails(words), Expected::Fails(expected)) => words.contains(expected),
        _ => false,
    };
    assert!(is_expected, "{before:?} is {outcome:?}, expected {expected:?}");
    as_json(&before, &expected);
}

/// What is read is what JSON reads by name.
#[cfg(feature = "json")]
fn as_json<B: Serialize, A: DeserializeOwned + Debug + PartialEq>(
    before: &B,
    expected: &Expected<A>,
) {
    if let (Expected::Same(value) | Expected::Is(value), Ok(text)) =
        (expected, serde_json::to_string(before))
    {
        assert_eq!(&serde_json::from_str::<A>(&text).unwrap(), value, "{text}");
    }
}

#[cfg(not(feature = "json"))]
fn as_json<B, A>(_: &B, _: &Expected<A>) {}

/// Types before and after an edit, and their values.
macro_rules! pairs {
    ($($name:ident: $before:item => $after:item $($value:expr => $expected:expr;)*)*) => {$(
        mod $name {
            #[allow(unused_imports)]
            use super::*;

            #[allow(unused_imports)]
            use super::super::Expected::{Fails, Is, Same, Waits};
            use super::super::{expect, nested, Variant, Within};

            #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
            $before
            #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
            $after

            #[test]
            fn becomes() {
                $(nested!($value, $expected);)*
            }
        }
    )*};
}
use pairs;
