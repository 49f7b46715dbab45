//! Values that are text: how names, kinds and ids are shown, and how near one text is to another.

/// Implements `Debug` with the type's name and its `Display`.
macro_rules! debug_as_text {
    ($($type:ident),*) => {$(
        impl std::fmt::Debug for $type {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                write!(f, concat!(stringify!($type), "({})"), self)
            }
        }
    )*};
}

/// Implements `Display`, `AsRef<str>` and `Debug` for a type that has `as_str`.
macro_rules! show_as_text {
    ($type:ident) => {
        impl std::fmt::Display for $type {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl AsRef<str> for $type {
            fn as_ref(&self) -> &str {
                self.as_str()
            }
        }

        $crate::text::debug_as_text!($type);
    };
}

pub(crate) use {debug_as_text, show_as_text};

/// The number of letters to insert, delete or replace to turn one text into the other.
#[cfg(any(feature = "testing", feature = "yaml"))]
pub(crate) fn distance(one: &str, other: &str) -> usize {
    let mut row: Vec<_> = (0..=other.chars().count()).collect();
    for (line, a) in one.chars().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], line + 1);
        for (column, b) in other.chars().enumerate() {
            let replaced = diagonal + usize::from(a != b);
            diagonal = row[column + 1];
            row[column + 1] = replaced.min(row[column].min(diagonal) + 1);
        }
    }
    row[row.len() - 1]
}

#[cfg(all(test, any(feature = "testing", feature = "yaml")))]
mod tests {
    use super::*;

    #[test]
    fn a_distance_counts_letters() {
        assert_eq!(distance("rate", "rate"), 0);
        assert_eq!(distance("kitten", "sitting"), 3);
        assert_eq!((distance("", "abc"), distance("abc", "")), (3, 3));
    }
}
