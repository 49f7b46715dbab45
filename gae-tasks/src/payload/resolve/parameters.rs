//! The parameters of a payload, found by name where its writer put them.

use std::marker::PhantomData;

use serde::Deserialize;
use serde::de::DeserializeSeed;

use super::absent::Absent;
use super::cursor::Cursor;
use super::failure::{Failure, Reason};
use super::ignores::Ignores;
use super::path::Step;
use super::place::Place;
use super::value::{read, read_node};
use crate::payload::schema::Schema;
use crate::payload::schema::node::Node;

/// The parameters of a payload.
pub(crate) struct Parameters<'a> {
    writer: &'a Schema,
    cursor: Cursor<'a>,
    bytes: &'a [u8],
    /// Where each of the writer's parameters begins, as far as is known.
    starts: Vec<usize>,
}

impl<'a> Parameters<'a> {
    pub(crate) fn new(writer: &'a Schema, ignores: &'a Ignores, bytes: &'a [u8]) -> Self {
        let cursor = Cursor::new((writer.nodes(), writer.emptiness()), ignores, bytes);
        let mut starts = Vec::with_capacity(writer.parameters().len() + 1);
        starts.push(0);
        Self { writer, cursor, bytes, starts }
    }

    /// Reads the writer's parameter at `at`, which is called `name` here.
    pub(crate) fn read<T: for<'de> Deserialize<'de>>(
        &mut self,
        at: usize,
        name: &str,
    ) -> Result<T, Failure> {
        self.go_to(at)?;
        let parameter = &self.writer.parameters()[at];
        let ignores = self.cursor.ignores;
        let place = Place::root(ignores.within(ignores.root(), &parameter.names));
        let value = read(&mut self.cursor, parameter.node, place, PhantomData::<T>)
            .map_err(|failure| failure.within(Step::Field(name)))?;
        self.passed(at)?;
        Ok(value)
    }

    /// Reads what the payload lacks.
    pub(crate) fn absent<T: for<'de> Deserialize<'de>>(name: &'static str) -> Result<T, Failure> {
        T::deserialize(Absent(name)).map_err(|failure| failure.in_struct(|_| true))
    }

    /// Reads all parameters as the fields of a struct; `fields` are the writer's parameters.
    pub(crate) fn fields<S: DeserializeSeed<'a>>(
        &mut self,
        fields: &'a Node,
        seed: S,
    ) -> Result<S::Value, Failure> {
        self.go_to(0)?;
        let place = Place::root(self.cursor.ignores.root());
        let value = read_node(&mut self.cursor, fields, place, seed)?;
        // What was read is known to be all only here.
        (0..self.writer.parameters().len()).for_each(|_| self.starts.push(self.offset()));
        Ok(value)
    }

    /// Passes over what was not read, and ends.
    ///
    /// # Errors
    /// The bytes end before the last parameter does, or after it.
    pub(crate) fn end(&mut self) -> Result<(), Failure> {
        self.go_to(self.writer.parameters().len())?;
        match self.cursor.input.rest.len() {
            0 => Ok(()),
            left => Err(Reason::TooLong(left).into()),
        }
    }

    fn offset(&self) -> usize {
        self.bytes.len() - self.cursor.input.rest.len()
    }

    fn go_to(&mut self, at: usize) -> Result<(), Failure> {
        let known = at.min(self.starts.len() - 1);
        self.cursor.input.rest = &self.bytes[self.starts[known]..];
        for passed in known..at {
            let parameter = &self.writer.parameters()[passed];
            self.cursor.skip(parameter.node).map_err(|failure| match parameter.names.first() {
                Some(name) => failure.within(Step::Field(name)),
                None => failure,
            })?;
            self.passed(passed)?;
        }
        Ok(())
    }

    /// The parameter at `at` ends here.
    fn passed(&mut self, at: usize) -> Result<(), Failure> {
        let end = self.offset();
        match self.starts.get(at + 1) {
            Some(known) if *known != end => Err(Reason::Unread.into()),
            Some(_) => Ok(()),
            None => {
                self.starts.push(end);
                Ok(())
            }
        }
    }
}
