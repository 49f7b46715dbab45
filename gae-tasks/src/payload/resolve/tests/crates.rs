//! Types of other crates.

use super::Expected::{Fails, Is, Same, Waits};
use super::*;

macro_rules! rows {
    ($($before:ty, $value:expr => $after:ty, $expected:expr;)*) => {$(
        nested::<$before, $after>($value, $expected);
    )*};
}

#[test]
fn times() {
    let date = chrono::NaiveDate::from_ymd_opt(2026, 2, 3).unwrap();
    let moment = date.and_hms_opt(4, 5, 6).unwrap().and_utc();
    rows! {
        chrono::DateTime<chrono::Utc>, moment =>
            chrono::DateTime<chrono::FixedOffset>, Same(moment.fixed_offset());
        chrono::DateTime<chrono::Utc>, moment =>
            Option<chrono::DateTime<chrono::Utc>>, Is(Some(moment));
        chrono::DateTime<chrono::Utc>, moment => i64, Waits("was a String, is an i64");
        Option<chrono::NaiveDate>, Some(date) => chrono::NaiveDate, Is(date);
        String, "2026-02-03".into() => chrono::NaiveDate, Same(date);
        String, "no date".into() => Option<chrono::NaiveDate>, Fails("its type refuses the value");
        jiff::Timestamp, jiff::Timestamp::UNIX_EPOCH =>
            Option<jiff::Timestamp>, Is(Some(jiff::Timestamp::UNIX_EPOCH));
        jiff::civil::Date, jiff::civil::date(2026, 2, 3) => chrono::NaiveDate, Same(date);
        jiff::SignedDuration, jiff::SignedDuration::from_secs(90) =>
            jiff::SignedDuration, Same(jiff::SignedDuration::from_secs(90));
        crate::Timestamp, crate::Timestamp::from_micros(7) =>
            Option<crate::Timestamp>, Is(Some(crate::Timestamp::from_micros(7)));
        crate::Timestamp, crate::Timestamp::from_micros(7) =>
            String, Waits("was an i64, is a String");
    }
}

/// The crate `time` has other forms for people, so JSON is no witness.
#[test]
fn times_in_two_forms() {
    let day = time::Date::from_ordinal_date(2026, 34).unwrap();
    assert_eq!(outcome::<_, Option<time::Date>>(&day, &[]), Outcome::Is(Some(day)));
    let midnight = day.midnight().assume_utc();
    let some = Outcome::Is(Some(midnight));
    assert_eq!(outcome::<_, Option<time::OffsetDateTime>>(&midnight, &[]), some);
    assert_eq!(outcome::<_, (i32, u16)>(&day, &[]), Outcome::Same((2026, 34)));
    assert!(matches!(outcome::<_, time::Date>(&(2026_i64, 400_u16), &[]), Outcome::Fails(_)));
    let pair = Outcome::Is((time::Duration::seconds(2), 7_u16));
    assert_eq!(outcome::<_, (time::Duration, u16)>(&(time::Duration::seconds(2), 7_u8), &[]), pair);
}

#[test]
fn names_and_numbers_of_the_net() {
    let id = uuid::Uuid::from_bytes([7; 16]);
    let url: url::Url = "https://example.org/".parse().unwrap();
    rows! {
        url::Url, url.clone() => String, Same(url.to_string());
        url::Url, url.clone() => Option<url::Url>, Is(Some(url.clone()));
        String, "no url".into() => Option<url::Url>, Fails("its type refuses");
        semver::Version, semver::Version::new(1, 2, 3) =>
            Option<String>, Is(Some("1.2.3".to_owned()));
        ipnet::Ipv4Net, "10.0.0.0/8".parse().unwrap() =>
            Option<ipnet::Ipv4Net>, Is(Some("10.0.0.0/8".parse().unwrap()));
        ipnet::IpNet, "10.0.0.0/8".parse().unwrap() =>
            Option<ipnet::IpNet>, Is(Some("10.0.0.0/8".parse().unwrap()));
        uuid::Uuid, id => String, Waits("was bytes, is a String");
        String, id.to_string() => uuid::Uuid, Waits("was a String, is bytes");
        uuid::Uuid, id => Option<uuid::Uuid>, Is(Some(id));
    }
    // Texts in JSON, bytes here.
    assert_eq!(outcome::<_, uuid::Uuid>(&[7_u8; 16], &[]), Outcome::Is(id));
    assert_eq!(outcome::<_, [u8; 16]>(&id, &[]), Outcome::Is([7; 16]));
    assert!(matches!(outcome::<_, uuid::Uuid>(&[7_u8; 15], &[]), Outcome::Fails(_)));
    assert!(matches!(outcome::<_, uuid::fmt::Hyphenated>(&id, &[]), Outcome::Waits(_)));
}

#[test]
fn collections() {
    type Small = smallvec::SmallVec<[u16; 4]>;
    rows! {
        bytes::Bytes, bytes::Bytes::from_static(&[1, 2]) => Vec<u8>, Is(vec![1, 2]);
        Vec<u8>, vec![1, 2] => bytes::Bytes, Is(bytes::Bytes::from_static(&[1, 2]));
        bytes::Bytes, bytes::Bytes::new() => String, Waits("was bytes, is a String");
        Vec<u8>, vec![1, 2] => Small, Is(Small::from_slice(&[1, 2]));
        Small, Small::from_slice(&[1, 2]) => Vec<u16>, Same(vec![1, 2]);
        BTreeMap<u8, u8>, BTreeMap::from([(1, 2)]) =>
            indexmap::IndexMap<String, u64>, Is([("1".to_owned(), 2)].into());
        indexmap::IndexSet<u8>, [2, 1].into() => Vec<u64>, Is(vec![2, 1]);
        either::Either<u8, String>, either::Either::Left(1) =>
            either::Either<u64, Vec<u8>>, Waits("::Right`: was a String, is a sequence");
        either::Either<u8, String>, either::Either::Left(1) =>
            either::Either<u64, String>, Is(either::Either::Left(1));
    }
}

/// A decimal by itself has no schema: `decimals` of the tests of tracing.
#[test]
fn decimals() {
    use rust_decimal::Decimal;

    #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
    struct Price {
        #[serde(with = "rust_decimal::serde::str")]
        it: Decimal,
    }

    #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
    struct OptionalPrice {
        #[serde(default)]
        note: String,
        #[serde(with = "rust_decimal::serde::str_option")]
        it: Option<Decimal>,
    }

    let (it, note) = (Decimal::new(1250, 2), String::new());
    let price = Price { it };
    rows! {
        Price, price.clone() => Price, Same(price.clone());
        Price, price.clone() => Plain<String>, Same(Plain { it: "12.50".to_owned() });
        Plain<String>, Plain { it: "12.50".to_owned() } => Price, Same(price.clone());
        Plain<Option<String>>, Plain { it: Some("12.50".to_owned()) } => Price, Is(price.clone());
        Plain<String>, Plain { it: "much".to_owned() } => Option<Price>, Fails("its type refuses");
        Price, price.clone() => Plain<f64>, Waits("was a String, is an f64");
        Plain<u32>, Plain { it: 12 } => Price, Waits("was a u32, is a String");
        Price, price.clone() => OptionalPrice, Is(OptionalPrice { note, it: Some(it) });
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Plain<T> {
    it: T,
}
