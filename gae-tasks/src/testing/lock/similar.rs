//! Whether one name looks like another after a rename.

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

/// The number of letters to insert, delete or replace.
fn distance(one: &str, other: &str) -> usize {
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
