//! The names of weekdays and months, and the words that misspelt ones stand for.

/// The weekdays, from Sunday. The first three letters are enough.
pub(super) const WEEKDAYS: [&str; 7] =
    ["sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday"];

/// The months. The first three letters are enough.
pub(super) const MONTHS: [&str; 12] = [
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
];

/// The first three letters of a weekday or month.
pub(super) fn short(name: &str) -> &str {
    name.get(..3).unwrap_or(name)
}

/// The position among `names` of `word`, a name or the first three letters of one.
pub(super) fn position(names: &[&str], word: &str) -> Option<usize> {
    names.iter().position(|name| *name == word || short(name) == word)
}

/// Whether `word` is made of digits.
pub(super) fn is_number(word: &str) -> bool {
    !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_digit())
}

/// The word in `known` that `word` probably misspells.
pub(crate) fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let near = known.into_iter().map(|known| (distance(word, known), known));
    let is_near = |(distance, _): &(usize, &str)| *distance <= 2 && *distance < word.len();
    near.min().filter(is_near).map(|(_, known)| known)
}

/// The number of letters to add, remove or change to turn `one` into `other`.
fn distance(one: &str, other: &str) -> usize {
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (line, a) in one.bytes().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], line + 1);
        for (column, b) in other.bytes().enumerate() {
            let changed = diagonal + usize::from(a != b);
            diagonal = row[column + 1];
            row[column + 1] = changed.min(row[column].min(diagonal) + 1);
        }
    }
    row[other.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_a_short_form() {
        for word in ["wed", "wednesday"] {
            assert_eq!(position(&WEEKDAYS, word), Some(3));
        }
        assert_eq!(position(&MONTHS, "may"), Some(4));
        for word in ["", "we", "weds", "Wed"] {
            assert_eq!(position(&WEEKDAYS, word), None, "{word}");
        }
    }

    #[test]
    fn misspelt_words_are_recognised() {
        assert_eq!(nearest("mnday", WEEKDAYS), Some("monday"));
        assert_eq!(nearest("septembre", MONTHS), Some("september"));
        for word in ["", "x", "noon"] {
            assert_eq!(nearest(word, WEEKDAYS), None, "{word}");
        }
    }
}
