//! Selects the usable keys of a JWK set.

use std::collections::HashMap;
use std::sync::Arc;

use jsonwebtoken::DecodingKey;
use serde_json::{Map, Value};

use crate::push::verify::token::decoded;

/// Keys by their ids.
pub(super) type KeySet = HashMap<String, Arc<DecodingKey>>;

/// The longest key id that is looked up, in bytes; Google's ids have 40 bytes.
pub(super) const MAX_KEY_ID_BYTES: usize = 256;

/// The most keys that are kept; Google has two or three.
const MAX_KEYS: usize = 100;

/// Returns the keys of a set that can verify tokens; other keys are skipped.
///
/// # Errors
/// If no key is usable: what is wrong with the set.
pub(super) fn usable(jwks: &[u8]) -> Result<KeySet, String> {
    let set: Map<String, Value> =
        serde_json::from_slice(jwks).map_err(|_| "the answer is not a JSON object".to_owned())?;
    let Some(Value::Array(keys)) = set.get("keys") else {
        return Err("the answer is not a JWK set".to_owned());
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
    // Shorter keys are weak; longer keys make verification expensive.
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
