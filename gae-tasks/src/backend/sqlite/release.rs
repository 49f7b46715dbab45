//! The SQLite release that this program is linked to, and whether it has the fix of the WAL-reset
//! bug.

use super::error::Fault;

/// The first release without the bug, as `SQLITE_VERSION_NUMBER`: 3.51.3.
///
/// Source: <https://sqlite.org/wal.html#walresetbug>; 3.7.0 to 3.51.2 have the bug.
const FIXED: i32 = 3_051_003;

/// The patches of older releases with a backport of the fix: 3.44.6 and 3.50.7. Later patches of
/// the same releases have it as well.
const BACKPORTS: [i32; 2] = [3_044_006, 3_050_007];

/// Refuses a library whose `SQLITE_VERSION_NUMBER` has the bug: two connections that write and
/// checkpoint at the same time can lose acknowledged commits, and a queue always has several
/// connections.
pub(super) fn check(number: i32) -> Result<(), Fault> {
    if is_fixed(number) { Ok(()) } else { Err(Fault::Unfit(problem(number))) }
}

fn is_fixed(number: i32) -> bool {
    let is_of_release = |patch: i32| patch / 1_000 == number / 1_000 && patch <= number;
    number >= FIXED || BACKPORTS.into_iter().any(is_of_release)
}

fn problem(number: i32) -> String {
    let (major, minor, patch) = (number / 1_000_000, number / 1_000 % 1_000, number % 1_000);
    format!(
        "this program is linked to SQLite {major}.{minor}.{patch}, whose WAL-reset bug loses \
         committed writes or corrupts the file where several connections write \
         (https://sqlite.org/wal.html#walresetbug). SQLite 3.51.3 is the first without the bug \
         (also 3.50.7, 3.44.6). The crate `libsqlite3-sys` links SQLite: use 0.37 or later with \
         its feature `bundled`, and find what pins an older one, or links the system's, with \
         `cargo tree -i libsqlite3-sys`"
    )
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Returns the number of `major.minor.patch` in SQLite's form.
    const fn number(major: i32, minor: i32, patch: i32) -> i32 {
        major * 1_000_000 + minor * 1_000 + patch
    }

    #[test]
    fn releases_with_the_bug_are_known() {
        let old = [
            (3, 7, 0),
            (3, 40, 1),
            (3, 44, 5),
            (3, 45, 0),
            (3, 46, 0),
            (3, 49, 9),
            (3, 50, 6),
            (3, 51, 2),
        ];
        for (major, minor, patch) in old {
            assert!(!is_fixed(number(major, minor, patch)), "{major}.{minor}.{patch}");
        }
    }

    #[test]
    fn releases_with_the_fix_are_known_and_those_it_was_brought_to() {
        let new = [
            (3, 51, 3),
            (3, 52, 0),
            (3, 54, 1),
            (4, 0, 0),
            (3, 44, 6),
            (3, 44, 7),
            (3, 50, 7),
            (3, 50, 12),
        ];
        for (major, minor, patch) in new {
            assert!(is_fixed(number(major, minor, patch)), "{major}.{minor}.{patch}");
        }
    }

    #[test]
    fn the_refusal_names_the_release_the_bug_and_the_crate() {
        let Err(Fault::Unfit(text)) = check(number(3, 46, 0)) else { panic!("not refused") };
        for part in [
            "SQLite 3.46.0",
            "WAL-reset bug",
            "sqlite.org/wal.html#walresetbug",
            "`libsqlite3-sys`",
        ] {
            assert!(text.contains(part), "{text}");
        }
    }

    #[test]
    fn the_library_of_this_program_has_the_fix() {
        assert!(check(rusqlite::version_number()).is_ok());
    }

    proptest! {
        #[test]
        fn what_is_fixed_stays_fixed_in_later_patches(minor in 0..100, patch in 0..900) {
            prop_assert!(
                !is_fixed(number(3, minor, patch)) || is_fixed(number(3, minor, patch + 1))
            );
        }
    }
}
