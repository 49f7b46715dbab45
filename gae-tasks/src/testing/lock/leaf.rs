//! Which plain values are read into which plain types.

use crate::payload::schema::node::Leaf;

/// How values of one plain type fit into another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fit {
    All,
    /// Some do not, or change.
    Some(&'static str),
    None,
}

/// How what is written fits into what is read.
pub(super) fn fit(written: Leaf, read: Leaf) -> Fit {
    if written == read {
        return Fit::All;
    }
    match (whole(written), whole(read)) {
        (Some(from), Some(to)) if to.0 <= from.0 && from.1 <= to.1 => Fit::All,
        (Some(_), Some(_)) => Fit::Some("numbers that do not fit wait"),
        (Some(_), None) if is_float(read) => Fit::Some("large numbers are rounded"),
        _ => other(written, read),
    }
}

fn other(written: Leaf, read: Leaf) -> Fit {
    match (written, read) {
        (Leaf::F32, Leaf::F64) | (Leaf::Char, Leaf::String) => Fit::All,
        (Leaf::F64, Leaf::F32) => Fit::Some("numbers are rounded"),
        (Leaf::String, Leaf::Char) => Fit::Some("texts that are not one character wait"),
        _ => Fit::None,
    }
}

fn is_float(leaf: Leaf) -> bool {
    matches!(leaf, Leaf::F32 | Leaf::F64)
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
        for (written, read) in [
            (Leaf::U8, Leaf::U64),
            (Leaf::U8, Leaf::I16),
            (Leaf::I32, Leaf::I128),
            (Leaf::F32, Leaf::F64),
        ] {
            assert_eq!(fit(written, read), Fit::All, "{written:?} {read:?}");
            assert!(matches!(fit(read, written), Fit::Some(_)), "{written:?} {read:?}");
        }
        for (written, read) in [(Leaf::U8, Leaf::I8), (Leaf::I8, Leaf::U64), (Leaf::U64, Leaf::F64)]
        {
            assert!(matches!(fit(written, read), Fit::Some(_)), "{written:?} {read:?}");
        }
        for (written, read) in
            [(Leaf::F64, Leaf::U64), (Leaf::Bool, Leaf::U8), (Leaf::U8, Leaf::String)]
        {
            assert_eq!(fit(written, read), Fit::None, "{written:?} {read:?}");
        }
    }
}
