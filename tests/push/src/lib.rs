//! What the tests of push stand on: a Cloud Tasks server of their own, and an issuer of tokens.

pub mod issuer;
pub mod server;
