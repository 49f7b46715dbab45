//! Whether one name looks like another after a rename.

use crate::text::distance;

/// Whether two names share a word or the beginning, or differ in few letters.
pub(super) fn are_alike(one: &str, other: &str) -> bool {
    let [one, other] = [one, other].map(str::to_lowercase);
    let shares_a_word = one
        .split('_')
        .any(|word| word.len() > 2 && other.split('_').any(|candidate| candidate == word));
    let longest = one.chars().count().max(other.chars().count());
    shares_a_word
        || one.starts_with(&other)
        || other.starts_with(&one)
        || distance(&one, &other) <= longest / 3
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_after_a_rename_are_alike_and_others_are_not() {
        for (one, other) in [
            ("user", "user_id"),
            ("email", "mail"),
            ("templte", "template"),
            ("user_name", "name_of_user"),
            ("Cancelled", "Canceled"),
            ("note", "Note"),
        ] {
            assert!(are_alike(one, other) && are_alike(other, one), "{one} {other}");
        }
        for (one, other) in [
            ("cents", "euros"),
            ("from", "to"),
            ("Delete", "Suspend"),
            ("note", "channel"),
            ("a", "b"),
        ] {
            assert!(!are_alike(one, other) && !are_alike(other, one), "{one} {other}");
        }
    }
}
