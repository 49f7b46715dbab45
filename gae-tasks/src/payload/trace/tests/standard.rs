//! Types of the standard library.

use std::borrow::Cow;
use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet, BinaryHeap, HashMap, HashSet, LinkedList, VecDeque};
use std::ffi::CString;
use std::marker::PhantomData;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::num::{NonZeroU8, NonZeroU64, Saturating, Wrapping};
use std::ops::{Bound, Range, RangeFrom, RangeInclusive, RangeTo};
use std::path::PathBuf;
use std::sync::atomic::AtomicU64;
use std::sync::{Mutex, RwLock};
use std::time::{Duration, SystemTime};

use super::*;

#[test]
fn plain_values() {
    table! {
        () => "()";
        bool => "bool";
        i8 => "i8";
        i16 => "i16";
        i32 => "i32";
        i64 => "i64";
        i128 => "i128";
        isize => "i64";
        u8 => "u8";
        u16 => "u16";
        u32 => "u32";
        u64 => "u64";
        u128 => "u128";
        usize => "u64";
        f32 => "f32";
        f64 => "f64";
        char => "char";
        String => "String";
        Box<str> => "String";
        Cow<'static, str> => "String";
        PathBuf => "String";
        CString => "bytes";
        NonZeroU8 => "u8";
        NonZeroU64 => "u64";
        Wrapping<i16> => "i16";
        Saturating<u8> => "u8";
        AtomicU64 => "u64";
        PhantomData<String> => "()";
    }
}

#[test]
fn what_holds_others() {
    table! {
        Box<u8> => "u8";
        Cell<u8> => "u8";
        RefCell<u8> => "u8";
        Mutex<u8> => "u8";
        RwLock<u8> => "u8";
        std::cmp::Reverse<u8> => "u8";
        Cow<'static, [u8]> => "Vec<u8>";
        Option<u8> => "Option<u8>";
        Option<Option<u8>> => "Option<Option<u8>>";
        Option<()> => "Option<()>";
        Vec<u8> => "Vec<u8>";
        Box<[u8]> => "Vec<u8>";
        Vec<Vec<String>> => "Vec<Vec<String>>";
        VecDeque<u8> => "Vec<u8>";
        LinkedList<u8> => "Vec<u8>";
        BinaryHeap<u8> => "Vec<u8>";
        HashSet<u8> => "Vec<u8>";
        BTreeSet<String> => "Vec<String>";
        HashMap<String, u8> => "Map<String, u8>";
        BTreeMap<NonZeroU8, Vec<bool>> => "Map<u8, Vec<bool>>";
        BTreeMap<(u8, NonZeroU8), Option<u8>> => "Map<[u8; 2], Option<u8>>";
        HashMap<u8, HashMap<u8, NonZeroU8>> => "Map<u8, Map<u8, u8>>";
        (u8,) => "(u8,)";
        (u8, String) => "(u8, String)";
        (u8, u8) => "[u8; 2]";
        [u8; 0] => "[]";
        [u8; 1] => "(u8,)";
        [u8; 32] => "[u8; 32]";
        [[u16; 4]; 3] => "[[u16; 4]; 3]";
        [Option<String>; 2] => "[Option<String>; 2]";
        (u8, (u16, (u32, u64)), i8) => "(u8, (u16, (u32, u64)), i8)";
        (NonZeroU8, Vec<NonZeroU8>, Option<NonZeroU8>, u8) => "(u8, Vec<u8>, Option<u8>, u8)";
        (BTreeMap<String, u8>, Result<u8, String>, char) =>
            "(Map<String, u8>, enum {Ok(u8), Err(String)}, char)";
        Result<u8, ()> => "enum {Ok(u8), Err}";
    }
}

#[test]
fn structs_and_enums() {
    table! {
        Duration => "{secs: u64, nanos: u32}";
        SystemTime => "{secs_since_epoch: u64, nanos_since_epoch: u32}";
        Range<u8> => "{start: u8, end: u8}";
        RangeInclusive<String> => "{start: String, end: String}";
        RangeFrom<u8> => "{start: u8}";
        RangeTo<u8> => "{end: u8}";
        Bound<u8> => "enum {Unbounded, Included(u8), Excluded(u8)}";
        Ipv4Addr => "[u8; 4]";
        Ipv6Addr => "[u8; 16]";
        IpAddr => "enum {V4([u8; 4]), V6([u8; 16])}";
        SocketAddrV4 => "([u8; 4], u16)";
        SocketAddrV6 => "([u8; 16], u16)";
        SocketAddr => "enum {V4([u8; 4], u16), V6([u8; 16], u16)}";
    }
}
