//! Moments from and into the types of `time` (feature `time`).

use ::time::{OffsetDateTime, UtcDateTime};

use super::Timestamp;
use crate::error::Error;

/// Digits below a microsecond are cut off.
#[cfg_attr(docsrs, doc(cfg(feature = "time")))]
impl From<OffsetDateTime> for Timestamp {
    fn from(time: OffsetDateTime) -> Self {
        Self::from_nanos(time.unix_timestamp_nanos())
    }
}

/// Digits below a microsecond are cut off.
#[cfg_attr(docsrs, doc(cfg(feature = "time")))]
impl From<UtcDateTime> for Timestamp {
    fn from(time: UtcDateTime) -> Self {
        Self::from_nanos(time.unix_timestamp_nanos())
    }
}

#[cfg_attr(docsrs, doc(cfg(feature = "time")))]
impl TryFrom<Timestamp> for OffsetDateTime {
    type Error = Error;

    /// # Errors
    /// [`Error::Timestamp`] if the year is not between -9999 and 9999.
    fn try_from(moment: Timestamp) -> Result<Self, Error> {
        UtcDateTime::try_from(moment).map(Self::from)
    }
}

#[cfg_attr(docsrs, doc(cfg(feature = "time")))]
impl TryFrom<Timestamp> for UtcDateTime {
    type Error = Error;

    /// # Errors
    /// [`Error::Timestamp`] if the year is not between -9999 and 9999.
    fn try_from(moment: Timestamp) -> Result<Self, Error> {
        let nanos = i128::from(moment.as_micros()) * 1_000;
        Self::from_unix_timestamp_nanos(nanos).map_err(|_| {
            Error::timestamp(moment.to_string(), "is outside the range of the crate `time`")
        })
    }
}

#[cfg(test)]
mod tests {
    use ::time::UtcOffset;

    use super::*;

    #[test]
    fn time_means_the_same_moments() {
        for micros in [0, 1_795_357_374_291_664, -1] {
            let moment = Timestamp::from_micros(micros);
            let (utc, time) = (UtcDateTime::try_from(moment), OffsetDateTime::try_from(moment));
            let (utc, time) = (utc.unwrap(), time.unwrap());
            assert_eq!((Timestamp::from(utc), Timestamp::from(time)), (moment, moment));
            let elsewhere = time.to_offset(UtcOffset::from_hms(-3, -30, 0).unwrap());
            assert_eq!(Timestamp::from(elsewhere), moment);
        }
        let finer = UtcDateTime::from_unix_timestamp_nanos(-1).unwrap();
        assert_eq!(Timestamp::from(finer).as_micros(), -1, "rounded down to the microsecond");
    }

    #[test]
    fn a_moment_that_time_lacks_is_named() {
        let error = OffsetDateTime::try_from(Timestamp::MAX).unwrap_err().to_string();
        assert!(error.contains("+294247-01-10") && error.contains("crate `time`"), "{error}");
    }
}
