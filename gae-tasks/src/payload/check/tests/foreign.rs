//! No false alarm on values of other crates.

use std::collections::BTreeMap;

use chrono::{DateTime, FixedOffset, NaiveDate, NaiveTime, TimeDelta, Utc};

use super::*;

#[test]
fn times_of_chrono() {
    let utc = DateTime::<Utc>::from_timestamp(1_700_000_000, 5).unwrap();
    let date = NaiveDate::from_ymd_opt(2024, 2, 29).unwrap();
    fine! {
        utc; utc.with_timezone(&FixedOffset::east_opt(5_400).unwrap()); date; NaiveTime::MIN;
        date.and_time(NaiveTime::MIN); TimeDelta::new(-5, 7).unwrap(); chrono::Weekday::Tue;
        chrono::Month::May; (date, 1_u8); vec![Some(utc), None];
    }
}

#[test]
fn times_of_the_crate_time() {
    let date = time::Date::from_calendar_date(2024, time::Month::May, 3).unwrap();
    let moment = time::OffsetDateTime::UNIX_EPOCH;
    fine! {
        date; time::Time::MIDNIGHT; time::UtcOffset::from_hms(1, 30, 0).unwrap(); moment;
        time::PrimitiveDateTime::new(date, time::Time::MIDNIGHT); time::Duration::new(-5, -7);
        time::Weekday::Friday; time::Month::May; (moment, 1_u8); Some(moment);
    }
}

#[test]
fn times_of_jiff() {
    fine! {
        jiff::Timestamp::UNIX_EPOCH; jiff::civil::date(2024, 2, 29);
        jiff::civil::date(2024, 2, 29).at(1, 2, 3, 4); jiff::Span::new();
        jiff::SignedDuration::ZERO; jiff::civil::time(1, 2, 3, 4);
        crate::Timestamp::from_micros(-5);
    }
}

#[test]
fn names_and_numbers_of_the_net() {
    let url: url::Url = "https://example.org/a?b=c".parse().unwrap();
    let long: url::Url = format!("https://example.org/{}", "a".repeat(500)).parse().unwrap();
    let id = uuid::Uuid::from_u128(7);
    fine! {
        id; (id, 1_u8); uuid::NonNilUuid::new(id).unwrap(); id.hyphenated(); id.simple();
        crate::TaskId::from_bytes([1; 16]); BTreeMap::from([(url.clone(), 1_u8)]); url; long;
        "1.2.3-a+b".parse::<semver::Version>().unwrap();
        ">=1.2, <2".parse::<semver::VersionReq>().unwrap();
        "10.0.0.0/8".parse::<ipnet::IpNet>().unwrap(); "::1/64".parse::<ipnet::IpNet>().unwrap();
        "10.0.0.0/8".parse::<ipnet::Ipv4Net>().unwrap();
    }
}

#[test]
fn collections() {
    fine! {
        bytes::Bytes::from_static(b"abc"); bytes::BytesMut::from(&b"abc"[..]);
        smallvec::SmallVec::<[u8; 4]>::from_slice(&[1, 2]);
        indexmap::IndexMap::from([("a".to_owned(), 1_u8)]); indexmap::IndexSet::from([1_u8]);
        either::Either::<u8, String>::Left(1); either::Either::<u8, String>::Right("a".to_owned());
    }
}

#[cfg(feature = "json")]
#[test]
fn json() {
    let value = serde_json::json!({ "a": [1, null, "null"], "b": 0.5 });
    fine! {
        crate::Json(value.clone()); vec![crate::Json(value)]; crate::Json(None::<f64>);
        crate::Json(vec![1.5_f64, f64::MIN]); crate::Json("null".to_owned());
    }
}
