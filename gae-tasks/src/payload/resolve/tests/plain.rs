//! Numbers, texts, options, sequences, tuples and maps.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::num::NonZeroU8;

use super::Expected::{Fails, Is, Only, Same, Waits};
use super::*;

/// A value and its type before; what it becomes, and its type after.
macro_rules! rows {
    ($($before:ty, $value:expr => $after:ty, $expected:expr;)*) => {$(
        nested::<$before, $after>($value, $expected);
    )*};
}

fn s(text: &str) -> String {
    text.to_owned()
}

#[test]
fn integers_of_any_width_and_sign() {
    rows! {
        u8, 7 => u8, Same(7);
        u8, 255 => u16, Is(255);
        u16, 300 => u32, Is(300);
        u32, u32::MAX => u64, Is(u32::MAX.into());
        u64, u64::MAX => u128, Is(u64::MAX.into());
        i8, -128 => i16, Is(-128);
        i16, -300 => i64, Is(-300);
        i64, i64::MIN => i128, Is(i64::MIN.into());
        u64, 255 => u8, Is(255);
        u64, 256 => u8, Fails("holds a number that is out of the range of u8");
        u128, 5 => u8, Is(5);
        u128, u128::MAX => u64, Fails("out of the range of u64");
        i128, i128::MIN => i64, Fails("out of the range of i64");
        u32, 7 => i32, Is(7);
        u32, u32::MAX => i32, Fails("out of the range of i32");
        i32, 7 => u32, Is(7);
        i32, -1 => u32, Fails("out of the range of u32");
        i64, -1 => u64, Fails("out of the range of u64");
        u64, u64::MAX => i64, Fails("out of the range of i64");
        usize, 7 => u32, Is(7);
        isize, -7 => i8, Is(-7);
        u8, 7 => NonZeroU8, Same(NonZeroU8::MIN.saturating_add(6));
        u16, 7 => NonZeroU8, Is(NonZeroU8::MIN.saturating_add(6));
        u16, 0 => NonZeroU8, Fails("its type refuses this integer");
    }
}

#[test]
fn floating_point_numbers_lose_no_digits() {
    rows! {
        f32, 0.1 => f64, Only(f64::from(0.1_f32));
        f32, 0.5 => f64, Is(0.5);
        f64, 0.5 => f32, Waits("was an f64, is an f32");
        u32, 7 => f64, Is(7.0);
        i32, i32::MIN => f64, Is(-2_147_483_648.0);
        u16, 7 => f32, Is(7.0);
        i8, -7 => f32, Is(-7.0);
        u32, 7 => f32, Waits("was a u32, is an f32");
        u64, 7 => f64, Waits("was a u64, is an f64");
        i64, 7 => f64, Waits("was an i64, is an f64");
        f64, 7.0 => u64, Waits("was an f64, is a u64");
    }
}

#[test]
fn other_leaves_are_what_they_are() {
    rows! {
        bool, true => u8, Waits("was a bool, is a u8");
        u8, 1 => bool, Waits("was a u8, is a bool");
        u32, 7 => String, Waits("was a u32, is a String");
        String, s("7") => u32, Waits("was a String, is a u32");
        char, 'a' => String, Is(s("a"));
        String, s("é") => char, Is('é');
        String, s("ab") => char, Fails("a text that is not one character");
        String, s("") => char, Fails("a text that is not one character");
        char, 'a' => u32, Waits("was a char, is a u32");
        String, s("a") => Box<str>, Same("a".into());
        String, s("a") => std::path::PathBuf, Same("a".into());
        () , () => u8, Waits("was a (), is a u8");
        () , () => bool, Waits("was a (), is a bool");
        String, s("a") => Vec<u8>, Waits("was a String, is a sequence");
        Vec<u8>, vec![1] => String, Waits("was a sequence, is a String");
        std::ffi::CString, c"a".into() => String, Waits("was bytes, is a String");
        String, s("a") => std::ffi::CString, Waits("was a String, is bytes");
    }
}

#[test]
fn options_come_and_go() {
    rows! {
        u8, 7 => Option<u8>, Is(Some(7));
        u8, 7 => Option<u64>, Is(Some(7));
        u8, 7 => Option<String>, Waits("was a u8, is a String");
        String, s("a") => Option<Option<String>>, Is(Some(Some(s("a"))));
        Option<u8>, Some(7) => u8, Is(7);
        Option<u8>, Some(7) => u64, Is(7);
        Option<u8>, None => u8, Fails("holds no value (`None`)");
        Option<u8>, None => Option<u64>, Is(None);
        Option<u8>, Some(7) => Option<i8>, Is(Some(7));
        Option<u8>, Some(200) => Option<i8>, Fails("out of the range of i8");
        Option<u8>, Some(7) => Option<Option<u8>>, Is(Some(Some(7)));
        Option<u8>, None => Option<Option<u8>>, Is(None);
        Option<Option<u8>>, Some(Some(7)) => Option<u8>, Is(Some(7));
        Option<Option<u8>>, Some(None) => Option<u8>, Fails("holds no value");
        Option<Option<u8>>, None => Option<u8>, Is(None);
        Option<Option<u8>>, Some(Some(7)) => u8, Is(7);
        Option<Vec<u8>>, Some(vec![1]) => Vec<u16>, Is(vec![1]);
        Option<Vec<u8>>, None => Vec<u8>, Fails("holds no value");
        (), () => Option<u8>, Waits("was a (), is an Option");
        (), () => Option<()>, Waits("was a (), is an Option");
        Option<u8>, Some(7) => Box<Option<u8>>, Same(Box::new(Some(7)));
    }
}

#[test]
fn sequences_arrays_and_tuples() {
    rows! {
        Vec<u8>, vec![1, 2] => Vec<u64>, Is(vec![1, 2]);
        Vec<u16>, vec![1, 300] => Vec<u8>, Fails("[]` holds a number");
        Vec<u8>, vec![1, 2] => Vec<String>, Waits("[]`: was a u8, is a String");
        Vec<u8>, vec![2, 1] => VecDeque<u8>, Same(VecDeque::from([2, 1]));
        Vec<u8>, vec![1, 2] => BTreeSet<u8>, Same(BTreeSet::from([1, 2]));
        Vec<u8>, vec![1, 2] => [u8; 2], Is([1, 2]);
        Vec<u8>, vec![1, 2] => (u8, u16), Is((1, 2));
        Vec<u8>, vec![1, 2, 3] => [u8; 2], Fails("holds more than its type reads");
        Vec<u8>, vec![1] => [u8; 2], Fails("another number of elements");
        Vec<u8>, vec![1] => (u8, u16), Fails("another number of elements");
        [u8; 2], [1, 2] => Vec<u8>, Is(vec![1, 2]);
        [u8; 2], [1, 2] => [u32; 2], Is([1, 2]);
        [u8; 2], [1, 2] => [u8; 3], Waits("was an array of 2, is an array of 3");
        [u8; 2], [1, 2] => (u8, u8), Same((1, 2));
        (u8, u16), (1, 2) => (u16, u8), Is((1, 2));
        (u8, u16), (1, 2) => [u16; 2], Is([1, 2]);
        (u8, u16), (1, 2) => Vec<u32>, Is(vec![1, 2]);
        (u8, String), (1, s("a")) => Vec<u32>, Waits(".1`: was a String, is a u32");
        (u8, String), (1, s("a")) => (u64, String), Is((1, s("a")));
        (u8, String), (1, s("a")) => (String, u8), Waits(".0`: was a u8, is a String");
        (u8, String), (1, s("a")) => (u8, String, u8), Waits("was a tuple of 2, is a tuple of 3");
        (u8, String, u8), (1, s("a"), 2) =>
            (u8, String), Waits("was a tuple of 3, is a tuple of 2");
        (u8,), (1,) => u8, Waits("was a tuple of 1, is a u8");
        u8, 1 => Vec<u8>, Waits("was a u8, is a sequence");
        Vec<u8>, vec![1] => u8, Waits("was a sequence, is a u8");
        Vec<()>, vec![(), ()] => Vec<()>, Same(vec![(), ()]);
        [u8; 0], [] => Vec<u8>, Is(vec![]);
        Vec<u8>, vec![] => [u8; 0], Is([]);
        Vec<u8>, vec![1] => [u8; 0], Fails("holds more than its type reads");
    }
}

#[test]
fn maps_and_their_keys() {
    type Map<K, V> = BTreeMap<K, V>;
    rows! {
        Map<String, u8>, Map::from([(s("a"), 1)]) => Map<String, u64>, Is(Map::from([(s("a"), 1)]));
        Map<String, u8>, Map::from([(s("a"), 1)]) =>
            HashMap<String, u8>, Same(HashMap::from([(s("a"), 1)]));
        Map<u8, u8>, Map::from([(1, 2)]) => Map<u64, u8>, Is(Map::from([(1, 2)]));
        Map<u32, u8>, Map::from([(1, 2)]) => Map<String, u8>, Is(Map::from([(s("1"), 2)]));
        Map<i64, u8>, Map::from([(i64::MIN, 2)]) =>
            Map<String, u8>, Is(Map::from([(i64::MIN.to_string(), 2)]));
        Map<u128, u8>, Map::from([(u128::MAX, 2)]) =>
            Map<String, u8>, Is(Map::from([(u128::MAX.to_string(), 2)]));
        Map<String, u8>, Map::from([(s("-7"), 2)]) => Map<i32, u8>, Is(Map::from([(-7, 2)]));
        Map<String, u8>, Map::from([(u128::MAX.to_string(), 2)]) =>
            Map<u128, u8>, Is(Map::from([(u128::MAX, 2)]));
        Map<String, u8>, Map::from([(s("300"), 2)]) =>
            Map<u8, u8>, Fails("{key}` holds a number that is out of the range");
        Map<String, u8>, Map::from([(s("07"), 2)]) => Map<u8, u8>, Fails("a key that is no number");
        Map<String, u8>, Map::from([(s("+7"), 2)]) => Map<u8, u8>, Fails("a key that is no number");
        Map<String, u8>, Map::from([(s(""), 2)]) => Map<u8, u8>, Fails("a key that is no number");
        Map<String, u8>, Map::from([(s("-"), 2)]) => Map<i8, u8>, Fails("a key that is no number");
        Map<char, u8>, Map::from([('a', 2)]) => Map<String, u8>, Is(Map::from([(s("a"), 2)]));
        Map<bool, u8>, Map::from([(true, 2)]) =>
            Map<String, u8>, Waits("{key}`: was a bool, is a String");
        Map<String, u32>, Map::from([(s("a"), 2)]) =>
            Map<String, String>, Waits("{value}`: was a u32, is a String");
        Map<String, u8>, Map::from([(s("a"), 1)]) =>
            Vec<(String, u8)>, Waits("was a map, is a sequence");
        Vec<(String, u8)>, vec![(s("a"), 1)] => Map<String, u8>, Waits("was a sequence, is a map");
        Map<String, u8>, Map::from([(s("a"), 1)]) => Within<u8>, Waits("was a map, is a struct");
        Within<u8>, Within { before: 1, it: 2, after: s("a") } =>
            Map<String, u8>, Waits("was a struct, is a map");
    }
}

#[test]
fn bytes_are_sequences_of_u8() {
    #[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
    struct Octets(#[serde(with = "octets")] Vec<u8>);
    rows! {
        Octets, Octets(vec![1, 200]) => Vec<u8>, Is(vec![1, 200]);
        Octets, Octets(vec![1, 200]) => [u8; 2], Is([1, 200]);
        Octets, Octets(vec![1]) => [u8; 2], Fails("another number of elements");
        Octets, Octets(vec![1, 2, 3]) => [u8; 2], Fails("holds more than its type reads");
        Octets, Octets(vec![1]) => Vec<u16>, Waits("was bytes, is a sequence");
        Octets, Octets(vec![1]) => String, Waits("was bytes, is a String");
        Vec<u8>, vec![1, 200] => Octets, Is(Octets(vec![1, 200]));
        [u8; 2], [1, 200] => Octets, Is(Octets(vec![1, 200]));
        Vec<u16>, vec![1] => Octets, Waits("was a sequence, is bytes");
        Option<Vec<u8>>, Some(vec![1]) => Octets, Is(Octets(vec![1]));
    }
}

/// Bytes as formats have them.
mod octets {
    use serde::de::{Deserializer, SeqAccess, Visitor};
    use serde::ser::Serializer;

    pub(super) fn serialize<S: Serializer>(bytes: &[u8], to: S) -> Result<S::Ok, S::Error> {
        to.serialize_bytes(bytes)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<u8>, D::Error> {
        struct Octets;
        impl<'de> Visitor<'de> for Octets {
            type Value = Vec<u8>;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("bytes")
            }

            fn visit_bytes<E>(self, bytes: &[u8]) -> Result<Vec<u8>, E> {
                Ok(bytes.to_vec())
            }

            // As in JSON.
            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Vec<u8>, A::Error> {
                let mut bytes = Vec::new();
                while let Some(byte) = seq.next_element()? {
                    bytes.push(byte);
                }
                Ok(bytes)
            }
        }
        from.deserialize_bytes(Octets)
    }
}
