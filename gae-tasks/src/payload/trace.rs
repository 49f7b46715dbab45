//! Makes the schema of parameters from what their `Deserialize` asks of a format.
//!
//! A type is run again and again. Each run goes along the path to the first part of which nothing
//! is known, notes what is asked for there, and ends with an error. So hardly any value is made up
//! on the way, and types that judge their values do so in vain.

mod ask;
pub(crate) mod candidate;
mod graph;
mod parts;
mod refusal;
mod run;
mod stop;
#[cfg(test)]
mod tests;

use std::marker::PhantomData;

use serde::Deserialize;

use self::ask::Ask;
use self::run::Run;
use super::UnreadableError;
use super::schema::Schema;
use super::schema::node::{Member, NodeId};

/// Traces parameters one after the other.
#[derive(Debug)]
pub struct Tracer {
    run: Run,
    parameters: Vec<Member>,
}

impl Tracer {
    /// The schema of what `trace` traces.
    ///
    /// # Errors
    /// As [`Self::parameter`]; or all parameters together are too large.
    pub(crate) fn schema(
        trace: fn(&mut Self) -> Result<(), UnreadableError>,
    ) -> Result<Schema, UnreadableError> {
        let mut tracer = Self { run: Run::new(), parameters: Vec::new() };
        trace(&mut tracer)?;
        let graph = &tracer.run.graph;
        Schema::traced(&graph.nodes(), &tracer.parameters, &graph.without_names())
            .map_err(|error| UnreadableError::of_payload(format!("has no schema: {error}")))
    }

    /// Traces the parameter `name`.
    ///
    /// # Errors
    /// Its type, or a part of it, has no schema.
    // Not `DeserializeOwned`, for which serde has no advice when it is missing.
    pub fn parameter<T: for<'de> Deserialize<'de>>(
        &mut self,
        name: &'static str,
    ) -> Result<(), UnreadableError> {
        let root = self.root::<T>(name).map_err(|why| {
            let of = std::any::type_name::<T>();
            UnreadableError::of_type(name, of, format!("cannot be stored: {why}"))
        })?;
        self.parameters.push(Member::new(name, root));
        Ok(())
    }

    /// Traces `S`, the struct that `upgrade` takes: its fields are the parameters.
    ///
    /// # Errors
    /// `S` is not a struct with named fields; or a part of it has no schema.
    pub(crate) fn fields<S: for<'de> Deserialize<'de>>(
        &mut self,
        upgrade: &'static str,
    ) -> Result<(), UnreadableError> {
        let root = self
            .root::<S>(upgrade)
            .map_err(|why| UnreadableError::of_upgrade(upgrade, format!("has no schema: {why}")))?;
        self.parameters = self.run.graph.fields(root).ok_or_else(|| {
            UnreadableError::of_upgrade(
                upgrade,
                "does not take a struct with named fields: write one whose fields are the old \
                 parameters, `{}` if there were none",
            )
        })?;
        Ok(())
    }

    /// Traces a type, which is called `name`; or says why it has no schema.
    fn root<T: for<'de> Deserialize<'de>>(&mut self, name: &str) -> Result<NodeId, String> {
        let root = self.run.graph.add(None);
        let call = |run: &mut Run| T::deserialize(Ask::root(run, root)).map(drop);
        match self.run.fill(root, call) {
            Ok(()) => Ok(self.run.graph.resolved(root)),
            Err((id, refusal)) => Err(refusal.reason(&self.run.graph.place(id, name))),
        }
    }
}

/// A parameter to be traced, of any type. Asked of `&&Traceable`, which [`TraceDeserialize`] is
/// found for first.
#[derive(Debug)]
pub struct Traceable<T> {
    name: &'static str,
    of: PhantomData<fn() -> T>,
}

impl<T> Traceable<T> {
    /// The parameter `name`.
    pub fn new(name: &'static str) -> Self {
        Self { name, of: PhantomData }
    }
}

/// A parameter that can be read back.
pub trait TraceDeserialize {
    /// Traces it.
    ///
    /// # Errors
    /// As [`Tracer::parameter`].
    fn trace(&self, tracer: &mut Tracer) -> Result<(), UnreadableError>;
}

impl<T: for<'de> Deserialize<'de>> TraceDeserialize for &Traceable<T> {
    fn trace(&self, tracer: &mut Tracer) -> Result<(), UnreadableError> {
        tracer.parameter::<T>(self.name)
    }
}

/// A parameter that cannot, about which the compiler says one error where it is decoded.
pub trait TraceOther {
    /// Never called.
    ///
    /// # Errors
    /// Never.
    fn trace(&self, tracer: &mut Tracer) -> Result<(), UnreadableError>;
}

impl<T> TraceOther for Traceable<T> {
    fn trace(&self, _: &mut Tracer) -> Result<(), UnreadableError> {
        Ok(())
    }
}
