//! No false alarm on values of the standard library.

use std::borrow::Cow;
use std::cell::{Cell, RefCell};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap, HashMap, HashSet, LinkedList, VecDeque};
use std::ffi::CString;
use std::marker::PhantomData;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::num::{NonZeroI128, NonZeroU8, NonZeroU64, Saturating, Wrapping};
use std::ops::{Bound, Range, RangeFrom, RangeInclusive, RangeTo};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::sync::{Mutex, RwLock};
use std::time::{Duration, SystemTime};

use super::*;

#[test]
fn numbers_texts_and_units() {
    fine! {
        (); true; false;
        0_i8; i8::MIN; i8::MAX; -1_i16; i16::MIN; i16::MAX; -64_i32; i32::MIN; i32::MAX;
        -65_i64; i64::MIN; i64::MAX; 0_i128; i128::MIN; i128::MAX; -5_isize; isize::MIN;
        0_u8; u8::MAX; 127_u16; 128_u16; u16::MAX; 16_384_u32; u32::MAX; 1_u64 << 35; u64::MAX;
        0_u128; 127_u128; u128::MAX; usize::MAX;
        0.0_f32; f32::NAN; f32::MIN; -0.0_f64; f64::INFINITY; f64::NAN;
        'a'; 'é'; '\u{10ffff}'; '\0';
        String::new(); "a".to_owned(); "x".repeat(127); "é".repeat(64); "long".repeat(10_000);
        Box::<str>::from("boxed"); Cow::<'static, str>::Borrowed("lent"); PathBuf::from("/a/b");
        CString::from(c"c"); NonZeroU8::MIN; NonZeroU64::MAX; NonZeroI128::MIN; Wrapping(-3_i16);
        Saturating(4_u8); AtomicU64::new(300); AtomicBool::new(true); PhantomData::<String>;
    }
}

#[test]
fn what_holds_others() {
    fine! {
        Box::new(1_u8); Cell::new(1_u8); RefCell::new(1_u8); Mutex::new(300_u16); RwLock::new(1_u8);
        Reverse(5_u32); Cow::<'static, [u8]>::Borrowed(&[1, 2]);
        Some(1_u8); None::<u8>; Some(Some(1_u8)); Some(None::<u8>); Some(());
        Vec::<u8>::new(); vec![1_u8, 2]; vec![0_u8; 300]; Box::<[u8]>::from([1, 2]);
        vec![vec!["a".to_owned()], vec![]]; vec![(); 3]; vec![Some(1_u8), None];
        VecDeque::from([1_u8, 2]); LinkedList::from([1_u8, 2]); BinaryHeap::from([1_u8, 2]);
        HashSet::from([1_u8]); BTreeSet::from(["a".to_owned(), "b".to_owned()]);
        HashMap::from([("a".to_owned(), 1_u8)]); HashMap::<u8, u8>::new();
        BTreeMap::from([(NonZeroU8::MIN, vec![true])]);
        BTreeMap::from([((1_u8, NonZeroU8::MIN), Some(1_u8)), ((2, NonZeroU8::MAX), None)]);
        HashMap::from([(1_u8, HashMap::from([(2_u8, 3_u8)]))]);
        (1_u8,); (1_u8, "a".to_owned()); (1_u8, 2_u8); (1_u8, (2_u16, (3_u32, 4_u64)), 5_i8);
        [0_u8; 0]; [1_u8]; [7_u8; 32]; [[1_u16; 4]; 3]; [Some("a".to_owned()), None];
        (NonZeroU8::MIN, vec![NonZeroU8::MIN], Some(NonZeroU8::MIN), 1_u8);
        Ok::<u8, String>(1); Err::<u8, String>("e".to_owned()); Err::<u8, ()>(());
    }
}

#[test]
fn structs_and_enums() {
    let v6 = SocketAddrV6::new(Ipv6Addr::LOCALHOST, 80, 0, 0);
    fine! {
        Duration::new(5, 999_999_999); SystemTime::UNIX_EPOCH; Range { start: 1_u8, end: 2 };
        RangeInclusive::new("a".to_owned(), "b".to_owned()); RangeFrom { start: 1_u8 };
        RangeTo { end: 1_u8 }; Bound::<u8>::Unbounded; Bound::Included(1_u8); Bound::Excluded(1_u8);
        Ipv4Addr::LOCALHOST; Ipv6Addr::LOCALHOST; IpAddr::V4(Ipv4Addr::LOCALHOST);
        IpAddr::V6(Ipv6Addr::LOCALHOST); SocketAddrV4::new(Ipv4Addr::LOCALHOST, 8080); v6;
        SocketAddr::V4(SocketAddrV4::new(Ipv4Addr::LOCALHOST, 8080)); SocketAddr::V6(v6);
    }
}
