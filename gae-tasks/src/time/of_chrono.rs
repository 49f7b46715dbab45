//! Moments from and into the type of `chrono` (feature `chrono`).

use ::chrono::{DateTime, TimeZone, Utc};

use super::Timestamp;
use crate::error::Error;

/// Digits below a microsecond are cut off.
#[cfg_attr(docsrs, doc(cfg(feature = "chrono")))]
impl<Z: TimeZone> From<DateTime<Z>> for Timestamp {
    fn from(time: DateTime<Z>) -> Self {
        Self::from_micros(time.timestamp_micros())
    }
}

#[cfg_attr(docsrs, doc(cfg(feature = "chrono")))]
impl TryFrom<Timestamp> for DateTime<Utc> {
    type Error = Error;

    /// # Errors
    /// [`Error::Timestamp`] if the moment is more than some 262,000 years away.
    fn try_from(moment: Timestamp) -> Result<Self, Error> {
        let time = Self::from_timestamp_micros(moment.as_micros());
        time.ok_or_else(|| {
            Error::timestamp(moment.to_string(), "is outside the range of `chrono::DateTime`")
        })
    }
}

#[cfg(test)]
mod tests {
    use ::chrono::FixedOffset;

    use super::*;

    #[test]
    fn chrono_means_the_same_moments() {
        for micros in [0, 1_795_357_374_291_664, -1] {
            let moment = Timestamp::from_micros(micros);
            let time = DateTime::<Utc>::try_from(moment).unwrap();
            assert_eq!(Timestamp::from(time), moment);
            let elsewhere = FixedOffset::east_opt(5_400).unwrap();
            assert_eq!(Timestamp::from(time.with_timezone(&elsewhere)), moment);
            let text = time.to_rfc3339();
            assert_eq!(text.parse::<Timestamp>().unwrap(), moment, "{text}");
        }
        let finer = DateTime::from_timestamp_nanos(-1);
        assert_eq!(Timestamp::from(finer).as_micros(), -1, "rounded down to the microsecond");
    }

    #[test]
    fn a_moment_that_chrono_lacks_is_named() {
        let error = DateTime::<Utc>::try_from(Timestamp::MAX).unwrap_err().to_string();
        assert!(error.contains("+294247-01-10") && error.contains("chrono::DateTime"), "{error}");
    }
}
