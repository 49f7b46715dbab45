//! stand-in
use super::{Decoder, Parameter, Schema, UnreadableError};
use std::sync::Arc;
#[derive(Debug)]
pub(crate) struct Resolution;
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Difference;
impl std::fmt::Display for Difference {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("differs")
    }
}
pub(crate) struct Reader<'a> {
    pub(crate) schema: &'a Schema,
    pub(crate) parameters: &'a [Parameter],
    pub(crate) ignores: &'a [&'a str],
}
impl Resolution {
    pub(crate) fn between(_: Arc<Schema>, _: &Reader<'_>) -> Result<Self, Difference> {
        Err(Difference)
    }
    pub(crate) fn refused(&self) -> Option<Difference> {
        None
    }
}
impl<'a> Decoder<'a> {
    pub(crate) fn resolved(_: &'a Resolution, _: &'a [u8]) -> Result<Self, UnreadableError> {
        Err(UnreadableError::of_payload("x"))
    }
}
