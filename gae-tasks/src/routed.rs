//! A task's function with how it reads the payloads of one route.

use std::ops::Deref;
use std::sync::Arc;

use crate::attributes::checksum;
use crate::backend::{ReaderId, RouteStats, Stats, Verdict};
use crate::outcome::Outcome;
use crate::payload::{CannotRead, Decision, Reader, Reading, Resolution, Schema, UnreadableError};
use crate::registration::Registration;
use crate::task::Shape;

/// A task's function, and how it reads the payloads of one route.
#[derive(Debug, Clone)]
pub(crate) struct Routed {
    pub(crate) registration: &'static Registration,
    pub(crate) reading: Reading,
}

impl Routed {
    /// A function that reads payloads of its own schema.
    pub(crate) const fn own(registration: &'static Registration) -> Self {
        Self { registration, reading: Reading::Own }
    }

    /// The reading that takes the place of `reading`, if that was found to fit no payload of the
    /// schema.
    pub(crate) fn next_after(&self, reading: &Reading) -> Option<Reading> {
        let writer = reading.writer().filter(|_| reading.refused().is_some())?;
        self.registration.reading(writer.shape(), Some(writer.as_bytes())).ok()
    }
}

impl Routed {
    /// The tasks of a route whose values the function refused and leaves for their pauses, if there
    /// are any.
    pub(crate) fn refused(&self, line: &RouteStats) -> Option<Stats> {
        let stats = line.refused_by(self.reader().ok()?);
        (stats.scheduled > 0).then_some(stats)
    }
}

impl Deref for Routed {
    type Target = Registration;

    fn deref(&self) -> &Registration {
        self.registration
    }
}

impl Registration {
    /// How the function reads the payloads of `shape`; `schema` is what is stored for the shape.
    ///
    /// # Errors
    /// It cannot read them.
    pub(crate) fn reading(
        &self,
        shape: Shape,
        schema: Option<&[u8]>,
    ) -> Result<Reading, CannotRead> {
        let own = self.shape().map_err(|error| CannotRead::NoOwnSchema(error.clone()))?;
        if own == shape {
            return Ok(Reading::Own);
        }
        if shape.is_of_type_names() {
            return Err(CannotRead::OfTypeNames);
        }
        if shape.is_newer() {
            return Err(CannotRead::Newer);
        }
        if let Some(known) = self.readings.known(shape) {
            return known;
        }
        let schema = Schema::from_bytes(schema.ok_or(CannotRead::NotStored)?);
        let writer = schema.map_err(CannotRead::Damaged)?;
        if writer.shape() != shape {
            return Err(CannotRead::OfAnotherShape);
        }
        let read_by = self.read_by().map_err(|error| CannotRead::NoOwnSchema(error.clone()))?;
        self.readings.decided(shape, read_by.decide(&Arc::new(writer)))
    }

    /// The identity of the function as a reader, which differs from that of a version that may read
    /// other values: its shape, and what its attribute says about older payloads. What serde's
    /// attributes say cannot be seen.
    ///
    /// # Errors
    /// The type of a parameter has no schema.
    #[doc(hidden)]
    pub fn reader(&self) -> Result<ReaderId, &UnreadableError> {
        let mut marks = self.shape()?.to_bits().to_be_bytes().to_vec();
        let mut list = |mark: u8, names: &[&str]| {
            for name in names {
                marks.push(mark);
                marks.extend((name.len() as u64).to_be_bytes());
                marks.extend(name.as_bytes());
            }
        };
        for parameter in self.parameters {
            list(if parameter.has_default { b'd' } else { b'p' }, &[parameter.name]);
            list(b'a', parameter.aliases);
        }
        list(b'i', self.ignores);
        for upgrade in self.upgrades {
            marks.push(b'u');
            marks.extend(upgrade.traced.shape().map_or(0, |shape| shape.to_bits()).to_be_bytes());
        }
        Ok(ReaderId::from_bits(checksum(&marks)))
    }

    /// Returns the verdict for an attempt that ended with `outcome`. The cap on attempts is that of
    /// the attribute, and a value that cannot be read was refused by this function, whatever the
    /// shape of its writer.
    pub(crate) fn verdict(&self, outcome: &Outcome) -> Verdict {
        match outcome {
            Outcome::Done => Verdict::Done,
            Outcome::Released => Verdict::Release,
            Outcome::Permanent(failure) => Verdict::Permanent { error: failure.to_string() },
            Outcome::Unreadable(failure) => Verdict::Unreadable {
                error: failure.to_string(),
                // A function without a shape reads nothing, so it refuses nothing either.
                reader: self.reader().unwrap_or(ReaderId::from_bits(0)),
            },
            Outcome::Retry(failure) => Verdict::Retry {
                error: failure.to_string(),
                after: failure.retry_after(),
                max_attempts: self.max_attempts,
            },
        }
    }

    /// What reads the payloads.
    ///
    /// # Errors
    /// The type of a parameter has no schema.
    pub(crate) fn read_by(&self) -> Result<FunctionAndUpgrades<'_>, &UnreadableError> {
        let (parameters, ignores) = (self.parameters, self.ignores);
        Ok(FunctionAndUpgrades {
            function: Reader { schema: self.schema()?, parameters, ignores },
            upgrades: self
                .upgrades
                .iter()
                .map(|upgrade| (upgrade.name, upgrade.traced.schema().ok()))
                .collect(),
        })
    }
}

/// What reads the payloads of a task: its function, and the structs of its upgrades.
#[derive(Debug, Clone)]
pub(crate) struct FunctionAndUpgrades<'a> {
    pub(crate) function: Reader<'a>,
    /// Their names and structs in the order written; `None` where a struct has no schema.
    pub(crate) upgrades: Vec<(&'static str, Option<&'a Schema>)>,
}

impl<'a> FunctionAndUpgrades<'a> {
    /// How payloads of the schema `writer` are read.
    ///
    /// An upgrade whose struct has exactly the writer's schema comes first, then the function by
    /// name, then the upgrades by name.
    pub(crate) fn decide(&self, writer: &Arc<Schema>) -> Decision {
        let exact = self.upgrades.iter().position(|(_, upgrade)| *upgrade == Some(&**writer));
        let mut readings: Vec<_> = exact.map(Reading::Upgrade).into_iter().collect();
        let mut difference = None;
        match Resolution::between(Arc::clone(writer), &self.function) {
            Ok(by_name) => readings.push(Reading::ByName(Arc::new(by_name))),
            Err(differs) => difference = Some(differs),
        }
        for (number, (name, upgrade)) in self.upgrades.iter().enumerate() {
            let Some(reader) = upgrade.map(|schema| self.upgrade(schema)) else { continue };
            match (Resolution::between(Arc::clone(writer), &reader), &mut difference) {
                (Ok(by_name), _) => {
                    readings.push(Reading::UpgradeByName(number, Arc::new(by_name)));
                }
                (Err(differs), Some(difference)) => {
                    difference.add(|| format!("upgrade `{name}`: {differs}"));
                }
                (Err(_), None) => {}
            }
        }
        Decision { readings, difference }
    }

    /// The struct of an upgrade as a reader.
    pub(crate) fn upgrade(&self, schema: &'a Schema) -> Reader<'a> {
        Reader { schema, parameters: &[], ignores: self.function.ignores }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::payload::Parameter;
    use crate::registration::{Traced, Upgrade};

    #[test]
    fn a_value_is_refused_by_the_function_that_could_not_read_it() {
        let function = Registration { max_attempts: Some(3), ..Registration::for_test() };
        let refused = function.verdict(&Outcome::unreadable("no such variant".into()));
        let reader = function.reader().unwrap();
        assert_eq!(refused, Verdict::Unreadable { error: "no such variant".to_owned(), reader });
        let failed = function.verdict(&Outcome::failed(None, "no".into()));
        assert!(matches!(failed, Verdict::Retry { max_attempts: Some(3), .. }), "{failed:?}");
    }

    #[test]
    fn whatever_decides_what_is_read_makes_another_reader() {
        const NAMED: Parameter = Parameter::new("user_id");
        static OLD: [Upgrade; 1] =
            [Upgrade { name: "", traced: Traced::new(|tracer| tracer.parameter::<u8>("id")) }];
        static OLDER: [Upgrade; 1] =
            [Upgrade { name: "", traced: Traced::new(|tracer| tracer.parameter::<u16>("id")) }];
        let plain = Registration::for_test;
        let marked = |parameter| Registration { parameters: parameter, ..plain() };
        let versions = [
            plain(),
            Registration {
                traced: Traced::new(|tracer| tracer.parameter::<u32>("user_id")),
                ..plain()
            },
            marked(const { &[Parameter { has_default: true, ..NAMED }] }),
            marked(const { &[Parameter { aliases: &["id"], ..NAMED }] }),
            marked(const { &[Parameter { aliases: &["i", "d"], ..NAMED }] }),
            Registration { ignores: &["id"], ..plain() },
            Registration { ignores: &["i", "d"], ..plain() },
            Registration { upgrades: &OLD, ..plain() },
            Registration { upgrades: &OLDER, ..plain() },
        ];
        let ids: BTreeSet<_> = versions.iter().map(|one| one.reader().unwrap()).collect();
        assert_eq!(ids.len(), versions.len());
        let other = Registration { max_attempts: Some(1), sensitive: &["user_id"], ..plain() };
        assert_eq!(other.reader(), plain().reader(), "nothing that is read depends on these");
        // Stored with tasks, so it is the same in every build.
        assert_eq!(plain().reader().unwrap().to_string(), "1034d01eafe4b65e");
    }
}
