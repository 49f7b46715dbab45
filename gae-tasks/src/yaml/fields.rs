//! The fields of a mapping, each read once, with all mistakes collected.

use super::meant::meant;
use super::read::{Node, Place, Value, plain};
use crate::error::{Error, FileMistake};

/// The mistakes found so far.
#[derive(Debug, Default)]
pub(crate) struct Mistakes(Vec<FileMistake>);

impl Mistakes {
    /// Adds a mistake.
    pub(crate) fn add(&mut self, place: Place, problem: impl Into<String>) {
        self.0.push(place.mistake(problem));
    }

    /// Whether none was found.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The error about a file of this name.
    pub(super) fn of(mut self, file: &'static str) -> Error {
        self.0.sort_by_key(|mistake| (mistake.line, mistake.column));
        Error::ConfigFile { file, mistakes: self.0 }
    }
}

impl From<Vec<FileMistake>> for Mistakes {
    fn from(mistakes: Vec<FileMistake>) -> Self {
        Self(mistakes)
    }
}

/// The keys of a mapping.
#[derive(Debug)]
pub(crate) struct Keys {
    /// What the mapping is, for messages: `a queue`.
    pub(crate) of: &'static str,
    /// The keys that it may have.
    pub(crate) known: &'static [&'static str],
    /// Keys of other places and formats, and what to do in their place.
    pub(crate) foreign: &'static [(&'static str, &'static str)],
}

/// The fields of a mapping.
#[derive(Debug)]
pub(crate) struct Fields<'n> {
    place: Place,
    fields: Vec<Field<'n>>,
    /// Whether every key is known: an unknown one may be what seems to be missing.
    is_known: bool,
}

/// A key and its value.
#[derive(Debug)]
struct Field<'n> {
    key: &'static str,
    /// Where the key stands.
    place: Place,
    node: &'n Node,
}

impl<'n> Fields<'n> {
    /// Reads the keys of a mapping; `None` if `node` is none. Keys that are unknown, doubled or
    /// without a value are mistakes.
    pub(crate) fn of(node: &'n Node, keys: &Keys, mistakes: &mut Mistakes) -> Option<Self> {
        let Value::Map(map) = &node.value else {
            let of = keys.of;
            mistakes.add(node.place, format!("{of} is written as lines of `key: value`"));
            return None;
        };
        let (mut fields, mut is_known) = (Vec::<Field<'_>>::new(), true);
        for (written, node) in map {
            let place = written.place;
            match keys.find(written) {
                Err(problem) => {
                    mistakes.add(place, problem);
                    is_known = false;
                }
                Ok(key) if fields.iter().any(|field| field.key == key) => {
                    mistakes.add(place, format!("`{key}` is set twice: remove one"));
                }
                Ok(key) => fields.push(Field { key, place, node }),
            }
        }
        Some(Self { place: node.place, fields, is_known })
    }

    /// Where the mapping begins.
    pub(crate) fn place(&self) -> Place {
        self.place
    }

    /// The value of a key.
    pub(crate) fn node(&self, key: &str) -> Option<&'n Node> {
        self.field(key).map(|field| field.node)
    }

    /// Whether a key is missing, and not just written wrongly.
    pub(crate) fn lacks(&self, key: &str) -> bool {
        self.is_known && self.field(key).is_none()
    }

    /// The entries of the list of a key; none if the key is missing or has no value. Another value
    /// is a mistake with this `problem`.
    pub(crate) fn list(&self, key: &str, mistakes: &mut Mistakes, problem: &str) -> &'n [Node] {
        let Some(node) = self.node(key) else { return &[] };
        match &node.value {
            Value::List(entries) => entries.as_slice(),
            Value::Missing => &[],
            Value::Text(_) | Value::Map(_) => {
                mistakes.add(node.place, problem);
                &[]
            }
        }
    }

    /// The text of a key and its place, if the key is there and its value is a text.
    pub(crate) fn text(&self, key: &str, mistakes: &mut Mistakes) -> Option<(&'n str, Place)> {
        let Field { place, node, .. } = self.field(key)?;
        let (place, problem) = match &node.value {
            Value::Text(text) => return Some((text.as_str(), node.place)),
            // What is not written has no place of its own.
            Value::Missing => (*place, "has no value: write one, or remove the key"),
            Value::List(_) | Value::Map(_) => {
                (node.place, "has one value in its line: no list, no further keys")
            }
        };
        mistakes.add(place, format!("`{key}` {problem}"));
        None
    }

    /// The value of a key as `parse` reads it, if the key is there and its value is right.
    pub(crate) fn value<T>(
        &self,
        key: &str,
        mistakes: &mut Mistakes,
        parse: impl FnOnce(&str) -> Result<T, String>,
    ) -> Option<T> {
        let (text, place) = self.text(key, mistakes)?;
        let told = |problem: String| format!("`{key}: {}` {problem}", shown(text));
        parse(text).map_err(|problem| mistakes.add(place, told(problem))).ok()
    }

    fn field(&self, key: &str) -> Option<&Field<'n>> {
        self.fields.iter().find(|field| field.key == key)
    }
}

impl Keys {
    /// The known key that is written.
    ///
    /// # Errors
    /// What is wrong with the key.
    fn find(&self, key: &Node) -> Result<&'static str, String> {
        let Value::Text(written) = &key.value else {
            return Err(format!("a key of {} is a word: {}", self.of, self.listed()));
        };
        if let Some(known) = self.known.iter().copied().find(|known| known == written) {
            return Ok(known);
        }
        let (of, shown) = (self.of, shown(written));
        if let Some((_, instead)) = self.foreign.iter().find(|(foreign, _)| foreign == written) {
            return Err(format!("`{shown}` is not a key of {of}: {instead}"));
        }
        Err(match meant(written, self.known) {
            Some(meant) => format!("`{shown}` is not a key of {of}: write `{meant}`"),
            None => format!("`{shown}` is not a key of {of}, which has {}", self.listed()),
        })
    }

    fn listed(&self) -> String {
        self.known.iter().map(|known| format!("`{known}`")).collect::<Vec<_>>().join(", ")
    }
}

/// A text of the file for a message, cut after some characters, in one line.
pub(crate) fn shown(text: &str) -> String {
    const MOST: usize = 60;
    let mut shown: String = text.chars().take(MOST).map(plain).collect();
    if text.chars().nth(MOST).is_some() {
        shown.push_str("..");
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::super::read::read;
    use super::*;

    const KEYS: Keys = Keys {
        of: "a queue",
        known: &["name", "rate", "bucket_size"],
        foreign: &[("max_burst_size", "write `bucket_size`")],
    };

    fn found(text: &str) -> (Vec<String>, Option<String>) {
        let node = read(text).unwrap().unwrap();
        let mut mistakes = Mistakes::default();
        let fields = Fields::of(&node, &KEYS, &mut mistakes);
        let rate = fields.and_then(|fields| {
            fields.value("rate", &mut mistakes, |text| match text {
                "wrong" => Err("is wrong".to_owned()),
                text => Ok(text.to_owned()),
            })
        });
        let Error::ConfigFile { mistakes, .. } = mistakes.of("queue.yaml") else { panic!() };
        (mistakes.iter().map(FileMistake::to_string).collect(), rate)
    }

    #[test]
    fn a_known_key_has_its_value() {
        assert_eq!(found("name: a\nrate: 5/s\n"), (vec![], Some("5/s".to_owned())));
        assert_eq!(found("name: a\n"), (vec![], None));
    }

    #[test]
    fn every_wrong_key_and_value_is_told_in_the_order_of_the_file() {
        let text =
            "rate: wrong\nname: a\nname: b\nbuket_size: 5\nmax_burst_size: 5\n1: 2\n[x]: y\n";
        let (mistakes, rate) = found(text);
        assert_eq!(rate, None);
        let expected = [
            "line 1, column 7: `rate: wrong` is wrong",
            "line 3, column 1: `name` is set twice: remove one",
            "line 4, column 1: `buket_size` is not a key of a queue: write `bucket_size`",
            "line 5, column 1: `max_burst_size` is not a key of a queue: write `bucket_size`",
            "line 6, column 1: `1` is not a key of a queue, which has `name`, `rate`, \
             `bucket_size`",
            "line 7, column 1: a key of a queue is a word: `name`, `rate`, `bucket_size`",
        ];
        assert_eq!(mistakes, expected);
    }

    #[test]
    fn a_value_is_one_text() {
        for (text, told) in [
            ("name: a\nrate:\n", "line 2, column 1: `rate` has no value: write one"),
            ("name: a\nrate: ~\n", "line 2, column 1: `rate` has no value: write one"),
            ("rate: [1]\n", "line 1, column 7: `rate` has one value in its line"),
            ("rate:\n  a: 1\n", "line 2, column 3: `rate` has one value in its line"),
        ] {
            let (mistakes, rate) = found(text);
            assert_eq!((mistakes.len(), rate), (1, None), "{mistakes:?}");
            assert!(mistakes[0].starts_with(told), "{mistakes:?}");
        }
        let (mistakes, _) = found("- rate: 5/s\n");
        let told = "line 1, column 1: a queue is written as lines of `key: value`";
        assert_eq!(mistakes, [told]);
    }

    #[test]
    fn a_long_text_is_cut_and_stays_in_its_line() {
        assert_eq!(shown("5/s"), "5/s");
        assert_eq!(shown(&"é\n".repeat(40)), format!("{}..", "é ".repeat(30)));
    }
}
