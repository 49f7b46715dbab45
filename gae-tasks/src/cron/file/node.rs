//! A value of a file, with its place.

use saphyr::{MarkedYaml, Marker, Scalar, YamlData};

use super::mistakes::Place;
use crate::cron::language::nearest;

/// A key and its value.
pub(super) struct Field<'a> {
    pub(super) key: &'a str,
    pub(super) key_place: Place,
    pub(super) value: &'a MarkedYaml<'static>,
}

impl<'a> Field<'a> {
    /// The fields of a mapping. A key that is not a text is its place.
    pub(super) fn of(
        node: &'a MarkedYaml<'static>,
    ) -> Option<impl Iterator<Item = Result<Self, Place>>> {
        let mapping = node.data.as_mapping()?;
        Some(mapping.iter().map(|(key, value)| {
            let key_place = place(key);
            let key = key.data.as_str().ok_or(key_place)?;
            Ok(Self { key, key_place, value })
        }))
    }

    /// The place of the value, or of its key if there is nothing.
    pub(super) fn place(&self) -> Place {
        if self.is_empty() { self.key_place } else { place(self.value) }
    }

    /// Whether the key has no value.
    pub(super) fn is_empty(&self) -> bool {
        matches!(self.value.data, YamlData::Value(Scalar::Null))
    }

    /// The text, or why it is not one.
    pub(super) fn text(&self) -> Result<&'a str, String> {
        let key = self.key;
        match &self.value.data {
            YamlData::Value(Scalar::String(text)) if !text.trim().is_empty() => Ok(&**text),
            YamlData::Value(Scalar::String(_) | Scalar::Null) => {
                Err(format!("`{key}` has no value: write one, or remove it"))
            }
            YamlData::Value(_) => Err(format!("`{key}` is not a text: put it in quotes")),
            _ => Err(format!("`{key}` is not a text: write one line")),
        }
    }

    /// The number, or why it is not one.
    pub(super) fn number(&self) -> Result<f64, String> {
        let data = &self.value.data;
        let number =
            data.as_floating_point().or_else(|| data.as_integer().map(|whole| whole as f64));
        number.ok_or_else(|| format!("`{}` is not a number: write one, as in `2.5`", self.key))
    }

    /// The whole number up to `most`, or why it is not one.
    pub(super) fn whole(&self, most: u32) -> Result<u32, String> {
        let number = self.value.data.as_integer().and_then(|number| u32::try_from(number).ok());
        number.filter(|number| *number <= most).ok_or_else(|| {
            format!("`{}` is not a whole number that it can be: write 0 to {most}", self.key)
        })
    }
}

/// Where a value begins.
pub(super) fn place(node: &MarkedYaml<'_>) -> Place {
    place_of(&node.span.start)
}

pub(super) fn place_of(marker: &Marker) -> Place {
    (marker.line(), marker.col() + 1)
}

/// The keys of a mapping, and other words for some of them.
pub(super) struct Keys {
    pub(super) known: &'static [&'static str],
    pub(super) synonyms: &'static [(&'static str, &'static str)],
}

impl Keys {
    /// The key that is meant by one that is not known.
    pub(super) fn meant(&self, key: &str) -> Option<&'static str> {
        let synonym = self.synonyms.iter().find(|(other, _)| *other == key);
        let synonym = synonym.map(|(_, meant)| *meant);
        synonym.or_else(|| nearest(key, self.known.iter().copied()))
    }

    /// What to do about a key that is not known.
    pub(super) fn unknown(&self, key: &str) -> String {
        if let Some(meant) = self.meant(key) {
            return format!("unknown key `{key}`, did you mean `{meant}`?");
        }
        let known: Vec<_> = self.known.iter().map(|key| format!("`{key}`")).collect();
        format!("unknown key `{key}`: the keys here are {}", known.join(", "))
    }
}
