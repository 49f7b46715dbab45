//! App Engine's configuration files: YAML, with the place of each value, so that every mistake can
//! be told with its line and its fix.

mod fields;
mod meant;
mod parse;
mod read;
pub(crate) mod values;

pub(crate) use fields::{Fields, Keys, Mistakes, shown};
pub(crate) use parse::parse;
pub(crate) use read::{Node, Place, Value};
