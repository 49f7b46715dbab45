//! A parameter that is stored as JSON inside the payload.

mod nulls;
#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};

use super::remedy::{NOT_A_KEY, NOT_FINITE};

/// A parameter that is stored as JSON inside the payload, for types that only a self-describing
/// format can read back: `serde_json::Value`, untagged and flattened enums, `skip_serializing_if`.
///
/// JSON has no NaN and no infinite numbers, and writes them as null, as it writes `None` and
/// `Some(None)`. A value that holds such a number, or `Some` of a null, is refused when it is
/// deferred, also where `deserialize_with` would distinguish a null from an absent field, as for
/// `Option<Option<T>>` in a patch: use an enum there.
///
/// ```
/// use gae_tasks::{Json, deferred};
///
/// #[deferred]
/// async fn import(document: Json<serde_json::Value>) {
///     println!("{}", document.0["title"]);
/// }
/// ```
#[cfg_attr(docsrs, doc(cfg(feature = "json")))]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Json<T>(pub T);

impl<T: Serialize> Serialize for Json<T> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let text = serde_json::to_string(&self.0).map_err(|error| reason(&error))?;
        // What JSON has not has become a null: few values have one.
        if text.contains("null")
            && let Some(lost) = nulls::lost(&self.0)
        {
            return Err(serde::ser::Error::custom(lost));
        }
        serializer.serialize_str(&text)
    }
}

/// Why a value has no JSON. The words are serde_json's own or the type's; the two look alike.
fn reason<E: serde::ser::Error>(error: &serde_json::Error) -> E {
    match error.to_string().as_str() {
        "key must be a string" => E::custom(NOT_A_KEY),
        "float key must be finite (got NaN or +/-inf)" => E::custom(NOT_FINITE),
        other => E::custom(other),
    }
}

impl<'de, T: serde::de::DeserializeOwned> Deserialize<'de> for Json<T> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        serde_json::from_str(&text).map(Self).map_err(serde::de::Error::custom)
    }
}
