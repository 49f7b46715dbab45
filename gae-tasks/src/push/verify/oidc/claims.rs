//! The claims that a token must have.

use std::time::Duration;

use serde_json::Value;

use crate::push::verify::Refused;
use crate::push::verify::token::{Accounts, Claims, shown};
use crate::time::Timestamp;

/// The claims that a token must have.
#[derive(Debug)]
pub(super) struct Expected {
    pub(super) issuers: Vec<String>,
    pub(super) audiences: Vec<String>,
    pub(super) accounts: Accounts,
    pub(super) leeway: Duration,
}

impl Expected {
    /// Checks the claims; returns the e-mail of the token's service account.
    pub(super) fn check(&self, claims: &Claims, now: Timestamp) -> Result<String, Refused> {
        self.check_issuer(claims)?;
        self.check_audience(claims)?;
        self.check_times(claims, now)?;
        self.accounts.check(claims)
    }

    fn check_issuer(&self, claims: &Claims) -> Result<(), Refused> {
        match claims.get("iss") {
            Some(Value::String(issuer)) if self.issuers.contains(issuer) => Ok(()),
            Some(Value::String(issuer)) => {
                Err(Refused::new(format!("the token has another issuer, {}", shown(issuer))))
            }
            _ => Err(Refused::new("the token names no issuer (`iss`)")),
        }
    }

    fn check_audience(&self, claims: &Claims) -> Result<(), Refused> {
        let is_ours = |audience: &Value| match audience {
            Value::String(text) => self.audiences.contains(text),
            _ => false,
        };
        match claims.get("aud") {
            Some(audience @ Value::String(_)) if is_ours(audience) => Ok(()),
            Some(Value::Array(list))
                if list.iter().all(Value::is_string) && list.iter().any(is_ours) =>
            {
                Ok(())
            }
            Some(Value::String(audience)) => Err(Refused::new(format!(
                "the token is for the audience {}, not for {:?}",
                shown(audience),
                self.audiences
            ))),
            Some(_) => Err(Refused::new(format!(
                "the token's audiences (`aud`) include none of {:?}",
                self.audiences
            ))),
            None => Err(Refused::new("the token names no audience (`aud`)")),
        }
    }

    fn check_times(&self, claims: &Claims, now: Timestamp) -> Result<(), Refused> {
        let (earliest, latest) = (now.minus(self.leeway), now.plus(self.leeway));
        // RFC 7519, 4.1.4: not accepted on or after that moment.
        if required(claims, "exp")? <= earliest {
            return Err(Refused::new("the token has expired (`exp`)"));
        }
        if required(claims, "iat")? > latest {
            return Err(Refused::new(
                "the token was issued in the future (`iat`): a clock is wrong",
            ));
        }
        if moment(claims, "nbf")?.is_some_and(|from| from > latest) {
            return Err(Refused::new("the token is not valid yet (`nbf`)"));
        }
        Ok(())
    }
}

fn required(claims: &Claims, name: &str) -> Result<Timestamp, Refused> {
    moment(claims, name)?.ok_or_else(|| Refused::new(format!("the token has no `{name}`")))
}

/// A claim in seconds since 1970, possibly with a fraction (RFC 7519, 2: `NumericDate`).
fn moment(claims: &Claims, name: &str) -> Result<Option<Timestamp>, Refused> {
    const MICROS: f64 = 1e6;
    let Some(value) = claims.get(name) else { return Ok(None) };
    match value.as_f64() {
        // Exact to the microsecond for the next centuries; larger numbers saturate.
        Some(seconds) => Ok(Some(Timestamp::from_micros((seconds * MICROS) as i64))),
        None => Err(Refused::new(format!("the token's `{name}` is not a number"))),
    }
}
