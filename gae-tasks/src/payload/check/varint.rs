//! Numbers in postcard's form: seven bits a byte, the lowest first.

/// The bytes that the longest `u64` takes.
const MAX_LEN: usize = 10;

/// Appends a number of at most 64 bits.
#[inline]
pub(super) fn push(bytes: &mut Vec<u8>, number: u64) {
    if number < 0x80 {
        bytes.push(number as u8);
    } else {
        push_long(bytes, number);
    }
}

fn push_long(bytes: &mut Vec<u8>, mut number: u64) {
    let (mut long, mut len) = ([0; MAX_LEN], 0);
    while number >= 0x80 {
        long[len] = number as u8 | 0x80;
        number >>= 7;
        len += 1;
    }
    long[len] = number as u8;
    bytes.extend_from_slice(&long[..=len]);
}

/// Appends a number of at most 128 bits.
pub(super) fn push_wide(bytes: &mut Vec<u8>, mut number: u128) {
    while number >= 0x80 {
        bytes.push(number as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
}

/// Small numbers of either sign as small numbers.
#[inline]
pub(super) fn zigzag(number: i64) -> u64 {
    (number << 1 ^ number >> 63) as u64
}

/// As [`zigzag`].
pub(super) fn zigzag_wide(number: i128) -> u128 {
    (number << 1 ^ number >> 127) as u128
}
