//! Pairs of types, before and after an edit, and what becomes of values that were written before.

mod crates;
mod enums;
mod fields;
mod hostile;
mod parameters;
mod plain;
mod shown;
mod unasked;
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
    postcard::to_stdvec(value).unwrap()
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

/// A type in all places in which it can stand; a value stands in one of them.
///
/// One type for all of them: each type takes long to compile.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Everywhere<T> {
    within: Option<Within<T>>,
    option: Option<T>,
    seq: Vec<T>,
    tuple: Vec<(T, String)>,
    map: BTreeMap<String, T>,
    variants: Vec<Variant<T>>,
}

impl<T> Everywhere<T> {
    const PLACES: usize = 8;

    fn at(place: usize, it: T) -> Self {
        let (within, option, map) = (None, None, BTreeMap::new());
        let none = Self {
            within,
            option,
            seq: vec![],
            tuple: vec![],
            map,
            variants: vec![Variant::Other],
        };
        let after = "end".to_owned();
        match place {
            0 => Self { within: Some(Within { before: 7, it, after }), ..none },
            1 => Self { option: Some(it), ..none },
            2 => Self { seq: vec![it], ..none },
            3 => Self { tuple: vec![(it, after)], ..none },
            4 => Self { map: BTreeMap::from([(after, it)]), ..none },
            5 => Self { variants: vec![Variant::One(it)], ..none },
            6 => Self { variants: vec![Variant::Two(1, it)], ..none },
            _ => Self { variants: vec![Variant::Named { it, after: None }], ..none },
        }
    }
}

/// A value by itself and as a part of others: it becomes the same in all of them.
fn nested<B, A>(before: B, expected: Expected<A>)
where
    B: Serialize + DeserializeOwned + Debug + Clone,
    A: DeserializeOwned + Debug + PartialEq + Clone,
{
    expect(&before, &expected);
    as_json(&before, &expected);
    for place in 0..Everywhere::<B>::PLACES {
        let before = Everywhere::at(place, before.clone());
        expect(&before, &expected.clone().map(|it| Everywhere::at(place, it)));
    }
}

/// What is expected of a value of another type.
#[derive(Debug, Clone)]
enum Expected<A> {
    Same(A),
    Is(A),
    /// As [`Self::Is`], and JSON makes something else of it.
    Only(A),
    Waits(&'static str),
    Fails(&'static str),
}

impl<A> Expected<A> {
    fn map<B>(self, to: impl FnOnce(A) -> B) -> Expected<B> {
        match self {
            Self::Same(value) => Expected::Same(to(value)),
            Self::Is(value) => Expected::Is(to(value)),
            Self::Only(value) => Expected::Only(to(value)),
            Self::Waits(words) => Expected::Waits(words),
            Self::Fails(words) => Expected::Fails(words),
        }
    }
}

fn expect<B, A>(before: &B, expected: &Expected<A>)
where
    B: Serialize + DeserializeOwned + Debug,
    A: DeserializeOwned + Debug + PartialEq,
{
    let outcome = outcome::<B, A>(before, &[]);
    let is_expected = match (&outcome, expected) {
        (Outcome::Same(value), Expected::Same(expected))
        | (Outcome::Is(value), Expected::Is(expected) | Expected::Only(expected)) => {
            value == expected
        }
        (Outcome::Waits(words), Expected::Waits(expected))
        | (Outcome::Fails(words), Expected::Fails(expected)) => words.contains(expected),
        _ => false,
    };
    assert!(is_expected, "{before:?} is {outcome:?}, expected {expected:?}");
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
    ($(mod $name:ident: $before:item => $after:item $($value:expr => $expected:expr;)*)*) => {$(
        mod $name {
            #[allow(unused_imports)]
            use super::*;

            #[allow(unused_imports)]
            use super::super::Expected::{Fails, Is, Same, Waits};
            use super::super::nested;

            #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
            $before
            #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
            $after

            #[test]
            fn becomes() {
                $(nested($value, $expected);)*
            }
        }
    )*};
}
use pairs;
