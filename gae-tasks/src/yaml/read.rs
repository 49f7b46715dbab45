//! Reads the text of a file into nodes that know their places.
//!
//! The parser's events are read, not its finished documents: reading them takes no recursion
//! without a bound, copies nothing that a file names twice, and leaves each value as it is written.

use saphyr_parser::{Event, Marker, Parser, ScalarStyle, ScanError, Span, StrInput};

use crate::error::FileMistake;
use crate::unwind;

/// The most bytes of a file: thousands of queues.
const MAX_BYTES: usize = 1024 * 1024;

/// The deepest nesting; App Engine's files have four levels.
const MAX_DEPTH: usize = 16;

/// A place in a file: line and column, both counted from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    pub(crate) line: usize,
    pub(crate) column: usize,
}

impl Place {
    /// The beginning of a file.
    pub(crate) const START: Self = Self { line: 1, column: 1 };

    /// Creates a mistake at this place. It is told in one line, whatever it repeats of the file.
    pub(crate) fn mistake(self, problem: impl Into<String>) -> FileMistake {
        let mut problem: String = problem.into();
        if problem.contains(char::is_control) {
            problem = problem.chars().map(plain).collect();
        }
        FileMistake::new(self.line, self.column, problem)
    }
}

/// A character of the file as a message has it.
pub(super) fn plain(c: char) -> char {
    if c.is_control() { ' ' } else { c }
}

/// A value, and where it begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Node {
    pub(crate) place: Place,
    pub(crate) value: Value,
}

/// A value of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Value {
    /// No value: nothing is written, or `~` or `null`.
    Missing,
    /// A text as it is written, numbers and truth values included.
    Text(String),
    /// A list.
    List(Vec<Node>),
    /// Keys with their values, in their order. A key may stand there twice.
    Map(Vec<(Node, Node)>),
}

/// Reads the only document of a file; `None` if the file has nothing but comments.
///
/// # Errors
/// What is not YAML, and what App Engine's files do not have: anchors, aliases, tags, more than one
/// document.
pub(super) fn read(text: &str) -> Result<Option<Node>, Vec<FileMistake>> {
    if text.len() > MAX_BYTES {
        let problem = format!("the file has {} bytes, more than the {MAX_BYTES} read", text.len());
        return Err(vec![Place::START.mistake(problem)]);
    }
    let mut reader = Reader { parser: Parser::new_from_str(text), mistakes: Vec::new() };
    // The parser is foreign code, and no text may end the program.
    let read = unwind::catch(|| reader.file())
        .unwrap_or_else(|_panic| Err(Place::START.mistake("the file cannot be read as YAML")));
    match read {
        Ok(node) if reader.mistakes.is_empty() => Ok(node),
        Ok(_) => Err(reader.mistakes),
        Err(mistake) => {
            reader.mistakes.push(mistake);
            Err(reader.mistakes)
        }
    }
}

struct Reader<'a> {
    parser: Parser<'a, StrInput<'a>>,
    /// The mistakes after which reading goes on.
    mistakes: Vec<FileMistake>,
}

impl<'a> Reader<'a> {
    fn file(&mut self) -> Result<Option<Node>, FileMistake> {
        let mut document = None;
        loop {
            let (event, place) = self.next()?;
            match event {
                Event::StreamEnd => return Ok(document),
                Event::DocumentStart(_) if document.is_some() => {
                    return Err(place.mistake("the file has a second part: remove the `---`"));
                }
                Event::DocumentStart(_) => {
                    let (event, place) = self.next()?;
                    document = Some(self.node(event, place, 0)?);
                }
                _ => {}
            }
        }
    }

    fn node(&mut self, event: Event<'a>, place: Place, depth: usize) -> Result<Node, FileMistake> {
        if depth > MAX_DEPTH {
            return Err(place.mistake("lists and keys are nested too deeply"));
        }
        let value = match event {
            Event::Scalar(text, style, anchor, tag) => {
                self.refuse(place, anchor > 0 || tag.is_some());
                scalar(&text, style)
            }
            Event::SequenceStart(anchor, tag) => {
                self.refuse(place, anchor > 0 || tag.is_some());
                Value::List(self.list(depth)?)
            }
            Event::MappingStart(anchor, tag) => {
                self.refuse(place, anchor > 0 || tag.is_some());
                Value::Map(self.map(depth)?)
            }
            Event::Alias(_) => {
                self.refuse(place, true);
                Value::Missing
            }
            _ => return Err(place.mistake("a value is missing here")),
        };
        Ok(Node { place, value })
    }

    fn list(&mut self, depth: usize) -> Result<Vec<Node>, FileMistake> {
        let mut list = Vec::new();
        loop {
            let (event, place) = self.next()?;
            if event == Event::SequenceEnd {
                return Ok(list);
            }
            list.push(self.node(event, place, depth + 1)?);
        }
    }

    fn map(&mut self, depth: usize) -> Result<Vec<(Node, Node)>, FileMistake> {
        let mut map = Vec::new();
        loop {
            let (event, place) = self.next()?;
            if event == Event::MappingEnd {
                return Ok(map);
            }
            let key = self.node(event, place, depth + 1)?;
            let (event, place) = self.next()?;
            map.push((key, self.node(event, place, depth + 1)?));
        }
    }

    fn next(&mut self) -> Result<(Event<'a>, Place), FileMistake> {
        match self.parser.next_event() {
            Some(Ok((event, Span { start, .. }))) => Ok((event, place(&start))),
            Some(Err(error)) => Err(unreadable(&error)),
            None => Ok((Event::StreamEnd, Place::START)),
        }
    }

    fn refuse(&mut self, place: Place, is_refused: bool) {
        if is_refused {
            self.mistakes.push(place.mistake(FOREIGN));
        }
    }
}

const FOREIGN: &str = "App Engine's files have no anchors (`&`), aliases (`*`) and tags (`!`): \
                       write the value itself, in quotes if it begins with such a character";

fn scalar(text: &str, style: ScalarStyle) -> Value {
    let is_missing = style == ScalarStyle::Plain && matches!(text, "" | "~" | "null" | "Null");
    if is_missing { Value::Missing } else { Value::Text(text.to_owned()) }
}

fn place(marker: &Marker) -> Place {
    Place { line: marker.line(), column: marker.col() + 1 }
}

fn unreadable(error: &ScanError) -> FileMistake {
    let (place, info) = (place(error.marker()), error.info());
    // The parser takes the `*` of cron fields for an alias.
    if info.contains("anchor") {
        return place.mistake(FOREIGN);
    }
    place.mistake(format!(
        "this is not YAML ({info}): check the indentation, with spaces, and the colons, dashes and \
         quotes here and above"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mistakes(text: &str) -> Vec<String> {
        let found = read(text).expect_err("the text has a mistake");
        found.iter().map(FileMistake::to_string).collect()
    }

    fn text(node: &Node) -> (&str, (usize, usize)) {
        match &node.value {
            Value::Text(text) => (text, (node.place.line, node.place.column)),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn values_are_as_written_and_know_their_places() {
        let node = read("# c\na: 1.50\nlist:\n- 'x: y'\n- ~\nb: ''\n").unwrap().unwrap();
        let Value::Map(map) = &node.value else { panic!("{node:?}") };
        assert_eq!((text(&map[0].0), text(&map[0].1)), (("a", (2, 1)), ("1.50", (2, 4))));
        let Value::List(list) = &map[1].1.value else { panic!("{node:?}") };
        assert_eq!((text(&list[0]), &list[1].value), (("x: y", (4, 3)), &Value::Missing));
        assert_eq!(text(&map[2].1), ("", (6, 4)), "what stands in quotes is a text");
    }

    #[test]
    fn a_file_without_a_value_has_none() {
        for text in ["", "\n\n", "# nothing\n"] {
            assert_eq!(read(text), Ok(None), "{text:?}");
        }
        assert!(matches!(read("---\n"), Ok(Some(Node { value: Value::Missing, .. }))));
    }

    #[test]
    fn what_is_not_yaml_is_told_with_its_place() {
        let found = mistakes("queue:\n- name: a\n   rate: 5/s\n");
        assert!(found[0].starts_with("line 3, column "), "{found:?}");
        assert!(found[0].contains("check the indentation"), "{found:?}");
        assert!(!mistakes("a: [1, 2\n").is_empty());
        assert!(!mistakes("a: 'b\n").is_empty());
    }

    #[test]
    fn what_app_engines_files_do_not_have_is_refused_all_at_once() {
        let found = mistakes("a: &x 1\nb: *x\nc: !t 2\n");
        assert_eq!(found.len(), 3, "{found:?}");
        for (line, mistake) in (1..).zip(&found) {
            assert!(mistake.starts_with(&format!("line {line}, column 4: App Engine's files")));
        }
        for fields in ["a: * 9 * * *\n", "a: */5 9 * * *\n", "a: *\n"] {
            let found = mistakes(fields);
            assert_eq!(found.len(), 1, "{found:?}");
            assert!(found[0].starts_with("line 1, column "), "{found:?}");
            assert!(found[0].contains("in quotes if it begins with such"), "{found:?}");
        }
        let second = mistakes("a: 1\n---\nb: 2\n");
        assert!(
            second[0].starts_with("line 2, column 1: the file has a second part"),
            "{second:?}"
        );
    }

    #[test]
    fn a_mistake_is_told_in_one_line() {
        let mistake = Place::START.mistake("a\u{7}\nb");
        assert_eq!(mistake.to_string(), "line 1, column 1: a  b");
    }

    #[test]
    fn no_text_takes_more_than_its_share() {
        let deep = mistakes(&"- ".repeat(100_000));
        assert!(deep[0].contains("nested too deeply"), "{deep:?}");
        let flows = mistakes(&"[".repeat(1_000));
        assert_eq!(flows.len(), 1, "{flows:?}");
        let long = mistakes(&" ".repeat(MAX_BYTES + 1));
        assert!(long[0].contains("1048577 bytes"), "{long:?}");
        assert_eq!(read(&" ".repeat(MAX_BYTES)), Ok(None));
    }
}
