//! Where an issuer's keys come from.

use std::fmt;
use std::time::Duration;

use crate::backend::BoxFuture;
use crate::outcome::BoxError;

/// Where an issuer's keys come from; [`KeyEndpoint`](super::KeyEndpoint) except in tests.
///
/// It is asked by one fetch at a time, which is dropped if it has not answered within 5 seconds.
/// How often, and what happens when it fails, is the caller's matter: it just fetches.
///
/// ```
/// use gae_tasks::BoxError;
/// use gae_tasks::backend::BoxFuture;
/// use gae_tasks::push::verify::{FetchedKeys, KeySource};
///
/// /// Keys in a file that somebody else keeps up to date.
/// #[derive(Debug)]
/// struct KeyFile(std::path::PathBuf);
///
/// impl KeySource for KeyFile {
///     fn fetch(&self) -> BoxFuture<'_, Result<FetchedKeys, BoxError>> {
///         Box::pin(async move { Ok(FetchedKeys::new(std::fs::read(&self.0)?)) })
///     }
/// }
/// ```
pub trait KeySource: fmt::Debug + Send + Sync + 'static {
    /// The keys as they are now.
    ///
    /// # Errors
    /// Why they cannot be had; it is logged, and the last good ones are used on.
    fn fetch(&self) -> BoxFuture<'_, Result<FetchedKeys, BoxError>>;
}

/// Keys as they were fetched.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct FetchedKeys {
    /// A [JWK set](https://www.rfc-editor.org/rfc/rfc7517#section-5). Its RSA keys for signatures
    /// are used, of 2,048 to 8,192 bits and with a key id; others are passed over.
    pub jwks: Vec<u8>,
    /// For how long they are fresh. An hour if that is not told; a minute at least, a day at most.
    pub max_age: Option<Duration>,
}

impl FetchedKeys {
    /// This JWK set, without a word on how long it is fresh.
    pub fn new(jwks: impl Into<Vec<u8>>) -> Self {
        Self { jwks: jwks.into(), max_age: None }
    }

    /// Fresh for this long.
    pub fn with_max_age(mut self, max_age: Duration) -> Self {
        self.max_age = Some(max_age);
        self
    }
}
