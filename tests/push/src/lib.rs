//! Servers for the tests of push: a Cloud Tasks server, and an issuer of tokens. What two versions
//! of one program share.

pub mod issuer;
pub mod rolling;
pub mod server;
