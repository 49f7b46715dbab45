//! A JWK set, of which the usable keys are taken.

use std::collections::HashMap;
use std::sync::Arc;

use jsonwebtoken::DecodingKey;
use serde_json::{Map, Value};

use crate::push::verify::token::decoded;

/// Keys by their ids.
pub(super) type KeySet = HashMap<String, Arc<DecodingKey>>;

/// The longest key id that is looked up, in bytes; those of Google have 40.
pub(super) const MAX_KEY_ID_BYTES: usize = 256;

/// More are not kept; Google has two or three.
const MAX_KEYS: usize = 100;

/// The keys of a set that can verify tokens; what else is in it is passed over.
///
/// # Errors
/// What is wrong with a set that has none of them.
pub(super) fn usable(jwks: &[u8]) -> Result<KeySet, String> {
    let set: Map<String, Value> =
        serde_json::from_slice(jwks).map_err(|_| "the answer is no JSON object".to_owned())?;
    let Some(Value::Array(keys)) = set.get("keys") else {
        return Err("the answer is no JWK set".to_owned());
    };
    let keys: KeySet = keys.iter().filter_map(key).take(MAX_KEYS).collect();
    if keys.is_empty() {
        Err("the JWK set has no RSA key for signatures".to_owned())
    } else {
        Ok(keys)
    }
}

fn key(jwk: &Value) -> Option<(String, Arc<DecodingKey>)> {
    let text = |name: &str| jwk.get(name).and_then(Value::as_str);
    let is_absent_or =
        |name: &str, value: &str| jwk.get(name).is_none_or(|given| given.as_str() == Some(value));
    if text("kty") != Some("RSA") || !is_absent_or("use", "sig") || !is_absent_or("alg", "RS256") {
        return None;
    }
    let id = text("kid").filter(|id| (1..=MAX_KEY_ID_BYTES).contains(&id.len()))?;
    let (modulus, exponent) = (decoded(text("n")?)?, decoded(text("e")?)?);
    // Shorter ones are weak; longer ones cost whoever verifies.
    if !(2048..=8192).contains(&bits(&modulus)) || !(2..=32).contains(&bits(&exponent)) {
        return None;
    }
    Some((id.to_owned(), Arc::new(DecodingKey::from_rsa_raw_components(&modulus, &exponent))))
}

fn bits(number: &[u8]) -> usize {
    let zeros = number.iter().take_while(|byte| **byte == 0).count();
    let first = number.get(zeros).map_or(0, |byte| byte.leading_zeros() as usize);
    (number.len() - zeros) * 8 - first
}
