//! Moments from and into the types of `jiff` (feature `jiff`).

use ::jiff::ZonedDateTime;

use super::Timestamp;
use crate::error::Error;

/// Digits below a microsecond are cut off.
#[cfg_attr(docsrs, doc(cfg(feature = "jiff")))]
impl From<::jiff::Timestamp> for Timestamp {
    fn from(time: ::jiff::Timestamp) -> Self {
        Self::from_nanos(time.as_nanosecond())
    }
}

/// Digits below a microsecond are cut off.
#[cfg_attr(docsrs, doc(cfg(feature = "jiff")))]
impl From<&ZonedDateTime> for Timestamp {
    fn from(time: &ZonedDateTime) -> Self {
        time.timestamp().into()
    }
}

/// Digits below a microsecond are cut off.
#[cfg_attr(docsrs, doc(cfg(feature = "jiff")))]
impl From<ZonedDateTime> for Timestamp {
    fn from(time: ZonedDateTime) -> Self {
        time.timestamp().into()
    }
}

#[cfg_attr(docsrs, doc(cfg(feature = "jiff")))]
impl TryFrom<Timestamp> for ::jiff::Timestamp {
    type Error = Error;

    /// # Errors
    /// [`Error::Timestamp`] if the year is not between -9999 and 9999.
    fn try_from(moment: Timestamp) -> Result<Self, Error> {
        Self::from_microsecond(moment.as_micros()).map_err(|_| {
            Error::timestamp(moment.to_string(), "is outside the range of `jiff::Timestamp`")
        })
    }
}

#[cfg(test)]
mod tests {
    use ::jiff::tz::{Offset, TimeZone};

    use super::*;

    #[test]
    fn jiff_means_the_same_moments() {
        for micros in [0, 1_795_357_374_291_664, -1] {
            let moment = Timestamp::from_micros(micros);
            let time = ::jiff::Timestamp::try_from(moment).unwrap();
            assert_eq!(Timestamp::from(time), moment);
            let zoned = time.to_zoned_datetime(TimeZone::fixed(Offset::constant(2)));
            assert_eq!((Timestamp::from(&zoned), Timestamp::from(zoned)), (moment, moment));
            let text = time.to_string();
            assert_eq!(text.parse::<Timestamp>().unwrap(), moment, "{text}");
        }
        let finer = ::jiff::Timestamp::from_nanosecond(-1).unwrap();
        assert_eq!(Timestamp::from(finer).as_micros(), -1, "rounded down to the microsecond");
    }

    #[test]
    fn a_moment_that_jiff_lacks_is_named() {
        let error = ::jiff::Timestamp::try_from(Timestamp::MAX).unwrap_err().to_string();
        assert!(error.contains("+294247-01-10") && error.contains("jiff::Timestamp"), "{error}");
    }
}
