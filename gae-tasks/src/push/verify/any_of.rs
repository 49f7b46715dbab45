//! Combines several verifiers: the first that accepts decides.

use http::request::Parts;

use super::{Refused, Verified, Verify};
use crate::backend::BoxFuture;

/// Accepts a request that any of its verifiers accepts: they are asked in turn.
///
/// A refusal contains the reasons of all verifiers. Without any verifier, every request is refused.
///
/// ```
/// use gae_tasks::push::verify::{AnyOf, AppEngine, SharedSecret};
///
/// # fn main() -> Result<(), gae_tasks::Error> {
/// let verify = AnyOf::new()
///     .or(AppEngine::assume_headers_are_stripped())
///     .or(SharedSecret::new("a long secret of your own")?);
/// # assert!(!verify.is_empty());
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Default)]
pub struct AnyOf(Vec<Box<dyn Verify>>);

impl AnyOf {
    /// Creates a set without verifiers.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds `verify`, to be asked after the present verifiers.
    pub fn or(mut self, verify: impl Verify) -> Self {
        self.0.push(Box::new(verify));
        self
    }

    /// Whether there is no verifier, so that every request is refused.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl FromIterator<Box<dyn Verify>> for AnyOf {
    fn from_iter<I: IntoIterator<Item = Box<dyn Verify>>>(verifiers: I) -> Self {
        Self(verifiers.into_iter().collect())
    }
}

impl Verify for AnyOf {
    fn verify<'a>(&'a self, request: &'a Parts) -> BoxFuture<'a, Result<Verified, Refused>> {
        // One verifier is the usual case and needs no second future around its own.
        if let [only] = self.0.as_slice() {
            return only.verify(request);
        }
        Box::pin(async move {
            let mut reasons = Vec::new();
            for verifier in &self.0 {
                match verifier.verify(request).await {
                    Ok(verified) => return Ok(verified),
                    Err(refused) => reasons.push(refused.to_string()),
                }
            }
            if reasons.is_empty() {
                return Err(Refused::new("no verifier is set up to prove who calls"));
            }
            Err(Refused::new(reasons.join("; ")))
        })
    }

    fn is_cron(&self, request: &Parts) -> bool {
        self.0.iter().any(|verifier| verifier.is_cron(request))
    }

    fn is_secret(&self, header: &http::HeaderName) -> bool {
        self.0.iter().any(|verifier| verifier.is_secret(header))
    }

    fn problem(&self, is_alone: bool) -> Option<String> {
        let is_alone = is_alone && self.0.len() == 1;
        let problems: Vec<_> =
            self.0.iter().filter_map(|verifier| verifier.problem(is_alone)).collect();
        (!problems.is_empty()).then(|| problems.join("; "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug)]
    struct Bad(&'static str);

    impl Verify for Bad {
        fn verify<'a>(&'a self, _: &'a Parts) -> BoxFuture<'a, Result<Verified, Refused>> {
            Box::pin(std::future::ready(Err(Refused::new(self.0))))
        }

        fn problem(&self, is_alone: bool) -> Option<String> {
            (!is_alone).then(|| self.0.to_owned())
        }
    }

    #[test]
    fn every_problem_is_named() {
        let verifiers = AnyOf::new().or(Bad("first")).or(Bad("second"));
        assert_eq!(verifiers.problem(true).as_deref(), Some("first; second"));
        assert_eq!(AnyOf::new().or(Bad("first")).problem(true), None);
    }
}
