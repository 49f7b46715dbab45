//! Writes the parts of a value: elements, entries and fields.

use serde::Serialize;
use serde::ser::{
    SerializeMap, SerializeSeq, SerializeStruct, SerializeStructVariant, SerializeTuple,
    SerializeTupleStruct, SerializeTupleVariant,
};

use super::disagreement::Disagreement;
use super::opened::{Elements, Entries, Fields, Nodes};
use super::part::Part;
use super::words;

type Written = Result<(), Disagreement>;

/// Names the variant whose content the parts are.
#[cold]
fn within(found: Disagreement, variant: Option<&'static str>) -> Disagreement {
    match variant {
        Some(name) => found.in_variant(name),
        None => found,
    }
}

impl Elements<'_, '_> {
    #[inline]
    fn element<T: ?Sized + Serialize>(&mut self, value: &T) -> Written {
        if self.next >= self.len {
            return Err(within(words::count(), self.variant));
        }
        let node = match self.nodes {
            Nodes::Seq(one) | Nodes::Same(one) => one,
            Nodes::Each(ids) => &self.walk.nodes[ids[self.next] as usize],
        };
        let written = value.serialize(Part::of(self.walk, node));
        self.next += 1;
        written.map_err(|found| self.inside(found))
    }

    /// Names the element that was written last.
    #[cold]
    fn inside(&self, found: Disagreement) -> Disagreement {
        let step = match self.nodes {
            Nodes::Seq(_) => "[]".to_owned(),
            Nodes::Same(_) | Nodes::Each(_) => format!(".{}", self.next - 1),
        };
        within(found.below(step), self.variant)
    }

    #[inline]
    fn done(self) -> Written {
        if self.next == self.len { Ok(()) } else { Err(within(words::count(), self.variant)) }
    }
}

macro_rules! elements {
    ($($way:ident $method:ident;)*) => {$(
        impl $way for Elements<'_, '_> {
            type Ok = ();
            type Error = Disagreement;

            #[inline]
            fn $method<T: ?Sized + Serialize>(&mut self, value: &T) -> Written {
                self.element(value)
            }

            #[inline]
            fn end(self) -> Written {
                self.done()
            }
        }
    )*};
}

elements! {
    SerializeSeq serialize_element;
    SerializeTuple serialize_element;
    SerializeTupleStruct serialize_field;
    SerializeTupleVariant serialize_field;
}

impl SerializeMap for Entries<'_, '_> {
    type Ok = ();
    type Error = Disagreement;

    #[inline]
    fn serialize_key<T: ?Sized + Serialize>(&mut self, key: &T) -> Written {
        self.left = self.left.checked_sub(1).ok_or_else(words::count)?;
        key.serialize(Part::of(self.walk, self.key)).map_err(|found| found.below("{key}"))
    }

    #[inline]
    fn serialize_value<T: ?Sized + Serialize>(&mut self, value: &T) -> Written {
        value.serialize(Part::of(self.walk, self.value)).map_err(|found| found.below("{value}"))
    }

    #[inline]
    fn end(self) -> Written {
        if self.left == 0 { Ok(()) } else { Err(words::count()) }
    }
}

impl Fields<'_, '_> {
    #[inline]
    fn field<T: ?Sized + Serialize>(&mut self, name: &'static str, value: &T) -> Written {
        match self.members.get(self.next) {
            Some(member) if member.is_named(name) => {
                self.next += 1;
                let written = value.serialize(Part::at(self.walk, member.node));
                written.map_err(|found| within(found.in_field(name), self.variant))
            }
            _ => Err(self.other(name)),
        }
    }

    #[cold]
    fn other(&self, name: &str) -> Disagreement {
        within(words::field(name, self.members, self.next, self.len), self.variant)
    }

    #[cold]
    fn left_out(&self, name: &str) -> Written {
        match self.members.iter().any(|member| member.is_named(name)) {
            true => Err(within(words::left_out(name), self.variant)),
            // Neither half has the field.
            false => Ok(()),
        }
    }

    #[inline]
    fn done(self) -> Written {
        match self.members.get(self.next) {
            None => Ok(()),
            Some(member) => Err(within(words::not_written(member), self.variant)),
        }
    }
}

macro_rules! fields {
    ($($way:ident)*) => {$(
        impl $way for Fields<'_, '_> {
            type Ok = ();
            type Error = Disagreement;

            #[inline]
            fn serialize_field<T: ?Sized + Serialize>(
                &mut self,
                name: &'static str,
                value: &T,
            ) -> Written {
                self.field(name, value)
            }

            fn skip_field(&mut self, name: &'static str) -> Written {
                self.left_out(name)
            }

            #[inline]
            fn end(self) -> Written {
                self.done()
            }
        }
    )*};
}

fields! { SerializeStruct SerializeStructVariant }
