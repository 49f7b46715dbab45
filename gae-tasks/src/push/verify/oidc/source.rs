//! The source of an issuer's keys.

use std::fmt;
use std::time::Duration;

use crate::backend::BoxFuture;
use crate::outcome::BoxError;

/// A source of an issuer's keys; [`KeyEndpoint`](super::KeyEndpoint) except in tests.
///
/// One fetch runs at a time, and is dropped if it has not answered within 5 seconds. The caller
/// decides how often to fetch and what happens after a failure; the source only fetches.
///
/// ```
/// use gae_tasks::BoxError;
/// use gae_tasks::backend::BoxFuture;
/// use gae_tasks::push::verify::{FetchedKeys, KeySource};
///
/// /// Keys in a file that another program keeps up to date.
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
    /// Fetches the current keys.
    ///
    /// # Errors
    /// If the keys cannot be fetched: the reason, which is logged. The last good keys stay in use.
    fn fetch(&self) -> BoxFuture<'_, Result<FetchedKeys, BoxError>>;
}

/// Fetched keys.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct FetchedKeys {
    /// A [JWK set](https://www.rfc-editor.org/rfc/rfc7517#section-5). Its RSA signature keys of
    /// 2,048 to 8,192 bits with a key id are used; other keys are skipped.
    pub jwks: Vec<u8>,
    /// How long the keys are fresh; an hour if `None`. At least a minute and at most a day apply.
    pub max_age: Option<Duration>,
}

impl FetchedKeys {
    /// Creates fetched keys from a JWK set, without a time for which they are fresh.
    pub fn new(jwks: impl Into<Vec<u8>>) -> Self {
        Self { jwks: jwks.into(), max_age: None }
    }

    /// Sets how long the keys are fresh.
    pub fn with_max_age(mut self, max_age: Duration) -> Self {
        self.max_age = Some(max_age);
        self
    }
}
