//! The names of time zones.

use chrono_tz::{TZ_VARIANTS, Tz};

use super::words::nearest;

/// Finds the zone of this name in the IANA database.
///
/// # Errors
/// There is none: the problem, and the name that is probably meant.
pub(crate) fn zone(name: &str) -> Result<Tz, String> {
    name.parse().map_err(|_| match meant(name) {
        Some(meant) => format!("`{name}` is not a time zone: did you mean `{meant}`?"),
        None => format!(
            "`{name}` is not a time zone: write a name of the IANA database, as in \
             `Europe/Paris` or `UTC`"
        ),
    })
}

/// The name that is written otherwise, or whose last part is given, or that is misspelt.
fn meant(name: &str) -> Option<&'static str> {
    let names = || TZ_VARIANTS.iter().map(|zone| zone.name());
    let spaced = name.trim().replace(' ', "_");
    let same = names().find(|zone| zone.eq_ignore_ascii_case(&spaced));
    let last = || {
        let city = |zone: &&str| {
            zone.rsplit('/').next().is_some_and(|city| city.eq_ignore_ascii_case(&spaced))
        };
        names().find(city)
    };
    same.or_else(last).or_else(|| nearest(&spaced, names()))
}
