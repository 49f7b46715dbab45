//! Random values are written as by postcard.

use std::collections::BTreeMap;
use std::fmt;

use proptest::prelude::*;
use serde::{Deserialize, Serializer};

use super::derived::Expression;
use super::*;

fn expressions() -> impl Strategy<Value = Expression> {
    any::<i64>().prop_map(Expression::Number).prop_recursive(5, 40, 4, |inner| {
        let pair = (inner.clone(), inner.clone());
        let call = (
            any::<String>(),
            prop::collection::vec(inner.clone(), 0..4),
            prop::collection::btree_map(any::<String>(), inner.clone(), 0..4),
        );
        prop_oneof![
            pair.prop_map(|(a, b)| Expression::Sum(Box::new(a), Box::new(b))),
            inner.prop_map(|one| Expression::Not(Box::new(one))),
            call.prop_map(|(name, args, by)| Expression::Call { name, args, by }),
        ]
    })
}

/// A text that is written piece by piece.
#[derive(Debug)]
struct Pieces(Vec<String>);

impl fmt::Display for Pieces {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|piece| f.write_str(piece))
    }
}

impl Serialize for Pieces {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Pieces {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(|text| Self(vec![text]))
    }
}

type Numbers = ((u8, u16, u32, u64, u128), (i8, i16, i32, i64, i128), (f32, f64, bool, char));

/// Numbers of all lengths: most random ones are long.
fn short(number: u64, shift: u32) -> u64 {
    number >> (shift % 64)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn numbers(numbers in any::<Numbers>(), shift in 0..64_u32) {
        is_as_by_postcard(&numbers);
        let of_every_length = short(numbers.0.3, shift);
        is_as_by_postcard(&(of_every_length, of_every_length as i64, of_every_length as u32));
        is_as_by_postcard(&(
            of_every_length as u16,
            of_every_length as i16,
            -(of_every_length as i32 / 2),
        ));
        is_as_by_postcard(&(
            numbers.0.4 >> shift,
            numbers.1.4 >> shift,
            numbers.0.4 >> (2 * shift),
        ));
    }

    #[test]
    fn collections(
        texts in prop::collection::vec(any::<Option<String>>(), 0..20),
        map in any::<BTreeMap<u16, Result<String, (u8, Vec<u8>)>>>(),
        arrays in any::<[Option<[u16; 3]>; 4]>(),
    ) {
        is_as_by_postcard(&texts);
        is_as_by_postcard(&map);
        is_as_by_postcard(&arrays);
    }

    #[test]
    fn texts_of_pieces(pieces in prop::collection::vec("[ -~é]{0,9}", 0..40)) {
        is_as_by_postcard(&Pieces(pieces));
    }

    #[test]
    fn recursive_ones(expression in expressions()) {
        is_as_by_postcard(&expression);
    }
}
