//! Types of other crates.

use super::*;

#[test]
fn times() {
    table! {
        chrono::DateTime<chrono::Utc> => "String";
        chrono::DateTime<chrono::FixedOffset> => "String";
        chrono::NaiveDate => "String";
        chrono::NaiveTime => "String";
        chrono::NaiveDateTime => "String";
        chrono::TimeDelta => "(i64, i32)";
        chrono::Weekday => "String";
        chrono::Month => "String";
        (chrono::NaiveDate, u8) => "(String, u8)";
        time::Date => "(i32, u16)";
        time::Time => "(u8, u8, u8, u32)";
        time::UtcOffset => "[i8; 3]";
        time::OffsetDateTime => "(i32, u16, u8, u8, u8, u32, i8, i8, i8)";
        time::PrimitiveDateTime => "(i32, u16, u8, u8, u8, u32)";
        time::Duration => "(i64, i32)";
        time::Weekday => "u8";
        (time::OffsetDateTime, u8) => "((i32, u16, u8, u8, u8, u32, i8, i8, i8), u8)";
        jiff::Timestamp => "String";
        jiff::civil::Date => "String";
        jiff::civil::DateTime => "String";
        jiff::Span => "String";
        jiff::SignedDuration => "String";
        crate::Timestamp => "i64";
    }
}

#[test]
fn names_and_numbers_of_the_net() {
    table! {
        uuid::Uuid => "bytes";
        (uuid::Uuid, u8) => "(bytes, u8)";
        uuid::NonNilUuid => "bytes";
        uuid::fmt::Hyphenated => "String";
        crate::TaskId => "bytes";
        url::Url => "String";
        (url::Url, u8) => "(String, u8)";
        std::collections::BTreeMap<url::Url, u8> => "Map<String, u8>";
        semver::Version => "String";
        semver::VersionReq => "String";
        ipnet::IpNet => "enum {V4([u8; 5]), V6([u8; 17])}";
        ipnet::Ipv4Net => "[u8; 5]";
    }
}

/// A decimal is a text or a number, unless it is said which.
#[test]
fn decimals() {
    #[derive(Deserialize)]
    struct Price {
        #[serde(with = "rust_decimal::serde::str")]
        #[expect(dead_code, reason = "it is traced")]
        amount: rust_decimal::Decimal,
    }
    table! {
        Price => "{amount: String}";
    }
    let refused = text::<Option<rust_decimal::Decimal>>();
    let why = "`p` asks the format what comes next, which a payload does not say (it expects \"";
    assert!(refused.contains(why) && refused.contains("`#[serde(with = ..)]`"), "{refused}");
}

#[test]
fn collections() {
    table! {
        bytes::Bytes => "bytes";
        smallvec::SmallVec<[u8; 4]> => "Vec<u8>";
        indexmap::IndexMap<String, url::Url> => "Map<String, String>";
        indexmap::IndexSet<u8> => "Vec<u8>";
        either::Either<u8, String> => "enum {Left(u8), Right(String)}";
    }
}
