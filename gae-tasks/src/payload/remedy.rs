//! What errors about payloads suggest.

/// What helps most types that a payload cannot hold by themselves.
pub(crate) const WRAP: &str =
    "wrap the parameter, or this part of it, in `gae_tasks::Json<T>` (feature `json`)";

/// Said by `Json` of numbers that it cannot hold.
#[cfg(feature = "json")]
pub(crate) const NOT_FINITE: &str = "holds a number that is NaN or infinite, which JSON writes as \
     null: store it as an `Option` that is `None`, or as a text";

/// The advice of `Json` about options that it cannot distinguish from `None`.
#[cfg(feature = "json")]
pub(crate) const NULL_IN_SOME: &str = "holds `Some` of a value that JSON writes as null, as it \
     writes `None`, so `None` would be read \
     back: store it without `gae_tasks::Json<T>`, or as an enum with a variant for each case";

/// Said by `Json` of maps that it cannot hold.
#[cfg(feature = "json")]
pub(crate) const NOT_A_KEY: &str = "holds a map whose keys are neither texts nor numbers, which \
     JSON cannot write: store the map without `gae_tasks::Json<T>`, or as a sequence of pairs";

/// Texts that are passed on from a type's `Serialize`: they are known to hold no value.
pub(crate) fn known(text: &str) -> Option<&'static str> {
    #[cfg(feature = "json")]
    let known = [NOT_FINITE, NULL_IN_SOME, NOT_A_KEY];
    #[cfg(not(feature = "json"))]
    let known: [&str; 0] = [];
    known.into_iter().find(|known| *known == text)
}
