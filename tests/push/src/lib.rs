//! Servers for the tests of push: a Cloud Tasks server, and an issuer of tokens.

pub mod issuer;
pub mod server;
