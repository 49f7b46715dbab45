//! Reads a whole file: what it says, or all of its mistakes.

use super::fields::Mistakes;
use super::read::{Node, read};
use crate::error::Error;

/// Reads the text of a file of this name: `value` makes its value of the document, which is `None`
/// if the file has nothing but comments, and returns nothing only beside a mistake.
///
/// # Errors
/// [`Error::ConfigFile`] with what is not such a file, or with all mistakes that `value` adds.
pub(crate) fn parse<T>(
    file: &'static str,
    text: &str,
    value: impl FnOnce(Option<&Node>, &mut Mistakes) -> Option<T>,
) -> Result<T, Error> {
    let node = read(text).map_err(|mistakes| Mistakes::from(mistakes).of(file))?;
    let mut mistakes = Mistakes::default();
    let value = value(node.as_ref(), &mut mistakes);
    value.filter(|_| mistakes.is_empty()).ok_or_else(|| mistakes.of(file))
}

#[cfg(test)]
mod tests {
    use super::super::read::{Place, Value};
    use super::*;

    /// Reads a file that is one text other than `wrong`.
    fn word(text: &str) -> Result<String, Error> {
        parse("word.yaml", text, |node, mistakes| match node.map(|node| &node.value) {
            Some(Value::Text(word)) => {
                if word == "wrong" {
                    mistakes.add(Place::START, "is wrong");
                }
                Some(word.clone())
            }
            _ => {
                mistakes.add(Place::START, "is no word");
                None
            }
        })
    }

    #[test]
    fn a_file_is_its_value_or_its_mistakes() {
        assert_eq!(word("right\n").unwrap(), "right");
        for (text, told) in [
            ("wrong", "`word.yaml` has 1 mistake:\n  - line 1, column 1: is wrong"),
            ("", "`word.yaml` has 1 mistake:\n  - line 1, column 1: is no word"),
            ("[right", "`word.yaml` has 1 mistake:\n  - line "),
        ] {
            let error = word(text).unwrap_err().to_string();
            assert!(error.starts_with(told), "{error}");
        }
    }
}
