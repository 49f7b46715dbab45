//! A task's function with how it reads the payloads of one route.

use std::ops::Deref;
use std::sync::Arc;

use crate::payload::{CannotRead, Decision, Parameter, Reader, Reading, Resolution, Schema};
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
        if let Some(known) = self.readings.known(shape) {
            return known;
        }
        let schema = Schema::from_bytes(schema.ok_or(CannotRead::NotStored)?);
        let writer = schema.map_err(CannotRead::Damaged)?;
        if writer.shape() != shape {
            return Err(CannotRead::OfAnotherShape);
        }
        self.readings.decided(shape, self.decide(&Arc::new(writer)))
    }

    /// An upgrade whose struct has exactly the writer's schema comes first, then the function by
    /// name, then the upgrades by name.
    fn decide(&self, writer: &Arc<Schema>) -> Decision {
        let exact = self.upgrades.iter().position(|upgrade| upgrade.schema() == Ok(&**writer));
        let mut readings: Vec<_> = exact.map(Reading::Upgrade).into_iter().collect();
        let mut difference = None;
        match self.schema().map(|own| self.by_name(writer, own, self.parameters)) {
            Ok(Ok(by_name)) => readings.push(Reading::ByName(by_name)),
            Ok(Err(differs)) => difference = Some(differs),
            Err(_) => {}
        }
        for (number, upgrade) in self.upgrades.iter().enumerate() {
            let Ok(schema) = upgrade.schema() else { continue };
            let by_name = self.by_name(writer, schema, &[]).ok();
            readings.extend(by_name.map(|by_name| Reading::UpgradeByName(number, by_name)));
        }
        Decision { readings, difference }
    }

    fn by_name(
        &self,
        writer: &Arc<Schema>,
        schema: &Schema,
        parameters: &[Parameter],
    ) -> Result<Arc<Resolution>, crate::payload::Difference> {
        let reader = Reader { schema, parameters, ignores: self.ignores };
        Resolution::between(Arc::clone(writer), &reader).map(Arc::new)
    }
}
