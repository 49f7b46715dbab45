//! Which plain values are read into which plain types.

use crate::payload::resolve::leaves::resolves;
use crate::payload::schema::node::Leaf;

/// How values of one plain type fit into another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fit {
    All,
    /// Some do not.
    Some(&'static str),
    None,
}

/// How what is written fits into what is read, in the place of a map's key or elsewhere.
pub(super) fn fit(written: Leaf, read: Leaf, is_key: bool) -> Fit {
    if !resolves(written, read, is_key) {
        return Fit::None;
    }
    match (whole(written), whole(read)) {
        (Some(from), Some(to)) if to.0 > from.0 || from.1 > to.1 => {
            Fit::Some("numbers that do not fit wait")
        }
        (None, Some(_)) => Fit::Some("texts that are not numbers wait"),
        _ if (written, read) == (Leaf::String, Leaf::Char) => {
            Fit::Some("texts that are not one character wait")
        }
        _ => Fit::All,
    }
}

/// The bits of a whole number's range: below zero, and above.
fn whole(leaf: Leaf) -> Option<(i32, i32)> {
    Some(match leaf {
        Leaf::I8 => (-7, 7),
        Leaf::I16 => (-15, 15),
        Leaf::I32 => (-31, 31),
        Leaf::I64 => (-63, 63),
        Leaf::I128 => (-127, 127),
        Leaf::U8 => (0, 8),
        Leaf::U16 => (0, 16),
        Leaf::U32 => (0, 32),
        Leaf::U64 => (0, 64),
        Leaf::U128 => (0, 128),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wider_numbers_hold_all_values_and_narrower_some() {
        for (written, read) in
            [(Leaf::U8, Leaf::U64), (Leaf::U8, Leaf::I16), (Leaf::I32, Leaf::I128)]
        {
            assert_eq!(fit(written, read, false), Fit::All, "{written:?} {read:?}");
            assert!(matches!(fit(read, written, false), Fit::Some(_)), "{written:?} {read:?}");
        }
        for (written, read) in
            [(Leaf::U8, Leaf::I8), (Leaf::I8, Leaf::U64), (Leaf::String, Leaf::Char)]
        {
            assert!(matches!(fit(written, read, false), Fit::Some(_)), "{written:?} {read:?}");
        }
        for (written, read) in [
            (Leaf::F32, Leaf::F64),
            (Leaf::U32, Leaf::F64),
            (Leaf::Char, Leaf::String),
            (Leaf::Bool, Leaf::Bool),
        ] {
            assert_eq!(fit(written, read, false), Fit::All, "{written:?} {read:?}");
        }
        for (written, read) in [
            (Leaf::U64, Leaf::F64),
            (Leaf::F64, Leaf::F32),
            (Leaf::F64, Leaf::U64),
            (Leaf::Bool, Leaf::U8),
            (Leaf::U8, Leaf::String),
        ] {
            assert_eq!(fit(written, read, false), Fit::None, "{written:?} {read:?}");
        }
    }

    #[test]
    fn keys_of_maps_are_numbers_or_their_texts() {
        assert_eq!(fit(Leaf::U8, Leaf::String, true), Fit::All);
        assert!(matches!(fit(Leaf::String, Leaf::U8, true), Fit::Some(_)));
    }
}
