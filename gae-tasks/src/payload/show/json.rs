//! The text of JSON, of a bounded length.

use std::fmt::{self, Write as _};

use crate::payload::resolve::{Failure, Number, Reason};

/// JSON that is being written.
#[derive(Debug)]
pub(super) struct Json {
    text: String,
    most: usize,
}

impl Json {
    /// Begins a text that may become `most` bytes long.
    pub(super) fn of_at_most(most: usize) -> Self {
        Self { text: String::new(), most }
    }

    pub(super) fn into_text(self) -> String {
        self.text
    }

    /// Appends punctuation, or a word of JSON.
    pub(super) fn word(&mut self, word: &str) -> Result<(), Failure> {
        self.write(format_args!("{word}"))
    }

    /// Appends a text in quotes.
    pub(super) fn text(&mut self, text: &str) -> Result<(), Failure> {
        self.word("\"")?;
        let mut rest = text;
        while let Some(at) = rest.find(is_escaped) {
            let (plain, special) = rest.split_at(at);
            self.word(plain)?;
            let mut special = special.chars();
            if let Some(special) = special.next() {
                self.escape(special)?;
            }
            rest = special.as_str();
        }
        self.word(rest)?;
        self.word("\"")
    }

    fn escape(&mut self, special: char) -> Result<(), Failure> {
        match special {
            '"' => self.word("\\\""),
            '\\' => self.word("\\\\"),
            '\n' => self.word("\\n"),
            '\r' => self.word("\\r"),
            '\t' => self.word("\\t"),
            other => self.write(format_args!("\\u{:04x}", u32::from(other))),
        }
    }

    /// Appends bytes as a text of hexadecimal digits.
    pub(super) fn bytes(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        self.word("\"")?;
        bytes.iter().try_for_each(|byte| self.write(format_args!("{byte:02x}")))?;
        self.word("\"")
    }

    /// Appends an integer: a text if it takes more than 64 bits, as few programs read a number of
    /// JSON that does, and if it is a `key`.
    pub(super) fn number(&mut self, number: Number, is_key: bool) -> Result<(), Failure> {
        let is_wide = number.to::<i64>().is_none() && number.to::<u64>().is_none();
        match is_key || is_wide {
            true => self.write(format_args!("\"{number}\"")),
            false => self.write(format_args!("{number}")),
        }
    }

    /// Appends a floating-point number: a text if JSON has no such number.
    pub(super) fn float(&mut self, number: impl Into<f64> + fmt::Debug) -> Result<(), Failure> {
        // With the digits of its own width.
        let digits = format!("{number:?}");
        match number.into().is_finite() {
            true => self.word(&digits),
            false => self.write(format_args!("\"{digits}\"")),
        }
    }

    fn write(&mut self, part: fmt::Arguments<'_>) -> Result<(), Failure> {
        // Writing to a `String` never fails.
        let _ = self.text.write_fmt(part);
        if self.text.len() > self.most { Err(Reason::Lengthy.into()) } else { Ok(()) }
    }
}

/// Whether JSON, or a terminal that shows it, would take the character for something else.
fn is_escaped(c: char) -> bool {
    matches!(c, '"' | '\\') || c.is_control()
}
