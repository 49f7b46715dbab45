//! Schemas and shapes that never change: stored tasks carry them.

#![allow(dead_code)]

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use serde::Deserialize;

use super::derived::{Expression, List, Order, Renamed};
use super::*;

/// Bytes as `str::escape_ascii` writes them, and the shape.
fn pinned(schema: &Schema) -> (String, u64) {
    (schema.as_bytes().escape_ascii().to_string(), schema.shape().to_bits())
}

macro_rules! golden {
    ($($ty:ty => $bytes:literal $shape:literal;)*) => {$(
        assert_eq!(
            pinned(&schema::<$ty>().unwrap()),
            ($bytes.escape_ascii().to_string(), $shape),
            "{}",
            stringify!($ty),
        );
    )*};
}

#[derive(Deserialize)]
pub(super) struct Customer {
    customer_id: u64,
    first_name: String,
    last_name: String,
    email: String,
    phone: Option<String>,
    street: String,
    city: String,
    zip: String,
    country: String,
    vat: Option<String>,
    created: i64,
    updated: i64,
    score: f64,
    is_active: bool,
    tags: Vec<String>,
    notes: Vec<Note>,
    limits: Limits,
    level: u8,
    credit: i32,
    referrer: Option<u64>,
}

#[derive(Deserialize)]
pub(super) struct Note {
    at: i64,
    text: String,
}

#[derive(Deserialize)]
pub(super) struct Limits {
    daily: u32,
    total: u32,
}

macro_rules! events {
    ($($name:ident)*) => {
        #[derive(Deserialize)]
        pub(super) enum Event {
            $($name { id: u64 },)*
            Named(String),
            Paired(u8, u16),
            Noted(Note),
            Ended,
        }
    };
}

events! {
    A B C D E F G H I J K L M N O P Q R S T U V W X Y Z
}

#[test]
fn schemas_and_shapes_are_pinned() {
    golden! {
        u64 =>
            b"\x01\x02p\n"
            0x01bf_20d6_7751_f2db;
        Order =>
            b"\x01\x02p\x16\x05\x04id\n\nlines\x12\x16\x02\x0earticle\x0f\ncount\t\x0ead\
            dress\x11\x16\x02\x0cstreet\x0f\x06zip\x14\x02\t\x0e\nstate\x17\x05\x08Ope\
            n\x00\x08Paid\n\x08Sent\x16\x02\x04at\n\x04by\x0f\nMoved\x14\x02\x07\x0f\
            \x08Held\x18\x04\x0clabels\x13\x0f\x00"
            0x0150_4cfa_21f5_0607;
        Customer =>
            b"\x01\x02p\x16\x14\x16customer_id\n\x14first_name\x0f\x12last_name\x0f\nema\
            il\x0f\nphone\x11\x0f\x0cstreet\x0f\x08city\x0f\x06zip\x0f\x0ecountry\x0f\
            \x06vat\x18\x01\x0ecreated\x05\x0eupdated\x05\nscore\r\x12is_active\x01\
            \x08tags\x12\x0f\nnotes\x12\x16\x02\x04at\x05\x08text\x0f\x0climits\x16\
            \x02\ndaily\t\ntotal\t\nlevel\x07\x0ccredit\x04\x10referrer\x11\n"
            0x010b_aa92_0a7a_ebe2;
        Event =>
            b"\x01\x02p\x17\x1e\x02A\x16\x01\x04id\n\x02B\x18\x01\x02C\x18\x01\x02D\x18\
            \x01\x02E\x18\x01\x02F\x18\x01\x02G\x18\x01\x02H\x18\x01\x02I\x18\x01\x02J\
            \x18\x01\x02K\x18\x01\x02L\x18\x01\x02M\x18\x01\x02N\x18\x01\x02O\x18\x01\
            \x02P\x18\x01\x02Q\x18\x01\x02R\x18\x01\x02S\x18\x01\x02T\x18\x01\x02U\x18\
            \x01\x02V\x18\x01\x02W\x18\x01\x02X\x18\x01\x02Y\x18\x01\x02Z\x18\x01\nNam\
            ed\x0f\x0cPaired\x14\x02\x07\x08\nNoted\x16\x02\x04at\x05\x08text\x0f\nEnd\
            ed\x00"
            0x0163_552c_9356_e316;
        List =>
            b"\x01\x02p\x16\x02\nvalue\x07\x08next\x11\x18\x00"
            0x0194_2c93_1c1f_142c;
        Expression =>
            b"\x01\x02p\x17\x04\x06Sum\x15\x02\x18\x00\x06Not\x18\x00\x0cNumber\x05\x08C\
            all\x16\x03\x08name\x0f\x08args\x12\x18\x00\x04by\x13\x0f\x18\x00"
            0x0167_6e18_fb4a_ea9d;
        Renamed =>
            b"\x01\x02p\x16\x04\x12firstName\x0f\x02n\x07\ra tint\x0bcolor\x0ccolour\x07\
            \tlast\x02z\x07"
            0x01b9_edbc_7341_ac4b;
        [[u8; 16]; 2] =>
            b"\x01\x02p\x15\x02\x15\x10\x07"
            0x01e5_16f3_0328_01e2;
        (HashMap<String, Duration>, BTreeMap<i8, Option<char>>, f32, f64, bool, u128, i128) =>
            b"\x01\x02p\x14\x07\x13\x0f\x16\x02\x08secs\n\nnanos\t\x13\x02\x11\x0e\x0c\r\
            \x01\x0b\x06"
            0x01ec_414a_9d9c_d588;
        Result<Vec<i16>, ()> =>
            b"\x01\x02p\x17\x02\x04Ok\x12\x03\x06Err\x00"
            0x01e6_dcd7_e2d5_6fda;
    }
}

/// 20 fields with those within, and names of the usual length.
#[derive(Deserialize)]
struct Person {
    id: u64,
    name: String,
    email: String,
    phone: Option<String>,
    street: String,
    city: String,
    zip: String,
    country: String,
    created: i64,
    updated: i64,
    score: f64,
    active: bool,
    tags: Vec<String>,
    notes: Vec<Note>,
    limits: Limits,
    level: u8,
}

#[test]
fn schemas_are_small() {
    let two = Tracer::schema(|tracer| {
        tracer.parameter::<u64>("a")?;
        tracer.parameter::<String>("b")
    });
    assert_eq!(two.unwrap().as_bytes(), b"\x02\x02a\x0a\x02b\x0f");
    assert!(schema::<(u64, String)>().unwrap().as_bytes().len() <= 8);
    let len = schema::<Person>().unwrap().as_bytes().len();
    assert!(len <= 150, "{len} bytes");
}
