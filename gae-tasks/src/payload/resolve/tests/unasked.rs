//! Types that do not ask for a value that was written.

use std::cell::Cell;

use serde::{Deserialize, Deserializer, Serialize};

use super::{encoded, read, resolution};

thread_local! {
    static IS_SILENT: Cell<bool> = const { Cell::new(false) };
}

/// Reads a `T`, or asks for nothing where the test says so.
#[derive(Debug, Serialize)]
struct Moody<T>(Option<T>);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Moody<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if IS_SILENT.get() {
            Ok(Self(None))
        } else {
            T::deserialize(deserializer).map(|value| Self(Some(value)))
        }
    }
}

#[test]
fn a_value_that_nobody_asked_for_is_an_error_whatever_it_takes() {
    // A unit takes no bytes, so nothing is left that shows the silence afterwards.
    let units = resolution::<((), u8), (Moody<()>, u16)>(&[]).unwrap();
    let numbers = resolution::<(u8, u8), (Moody<u8>, u16)>(&[]).unwrap();
    let is_read = || {
        let units = read::<(Moody<()>, u16)>(&units, &encoded(&((), 7_u8)));
        let numbers = read::<(Moody<u8>, u16)>(&numbers, &encoded(&(1_u8, 7_u8)));
        [units.map(|read| read.1), numbers.map(|read| read.1)]
    };
    assert_eq!(is_read(), [Ok(7), Ok(7)]);
    IS_SILENT.set(true);
    for read in is_read() {
        let error = read.unwrap_err().to_string();
        assert!(error.contains("holds more than its type reads"), "{error}");
    }
}
