//! Serializes moments: RFC 3339 in text formats, otherwise the number of microseconds.

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::Timestamp;

/// RFC 3339 in human-readable formats, such as JSON; otherwise the microseconds since 1970.
impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            serializer.collect_str(self)
        } else {
            serializer.serialize_i64(self.as_micros())
        }
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            let text = String::deserialize(deserializer)?;
            text.parse().map_err(D::Error::custom)
        } else {
            i64::deserialize(deserializer).map(Self::from_micros)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_a_number_in_a_payload() {
        for micros in [0, -1, 1_795_357_374_291_664, i64::MAX] {
            let bytes = postcard::to_stdvec(&Timestamp::from_micros(micros)).unwrap();
            assert_eq!(bytes, postcard::to_stdvec(&micros).unwrap());
            let read: Timestamp = postcard::from_bytes(&bytes).unwrap();
            assert_eq!(read.as_micros(), micros);
        }
    }

    #[cfg(feature = "json")]
    #[test]
    fn a_moment_is_a_text_in_json() {
        let moment = Timestamp::from_micros(1_500_000);
        let json = serde_json::to_string(&moment).unwrap();
        assert_eq!(json, "\"1970-01-01T00:00:01.500000Z\"");
        assert_eq!(serde_json::from_str::<Timestamp>(&json).unwrap(), moment);
        let refused = serde_json::from_str::<Timestamp>("\"tomorrow\"").unwrap_err().to_string();
        assert!(refused.contains("`tomorrow`"), "{refused}");
    }
}
