//! What travels beside a payload where no schemas are stored: how many bytes it takes.

use super::SensitivePaths;

/// The bytes that schema and sensitive paths take in the envelope of a pushed task.
pub(crate) fn bytes_beside(schema: &[u8], sensitive: &SensitivePaths) -> usize {
    if schema.is_empty() && sensitive.is_empty() {
        return 0;
    }
    // A length is a varint, with 7 of its bits in a byte.
    let length = |length: usize| (usize::BITS - length.leading_zeros()).div_ceil(7).max(1) as usize;
    let text = |bytes: usize| length(bytes) + bytes;
    text(schema.len())
        + length(sensitive.len())
        + sensitive.iter().map(|path| text(path.len())).sum::<usize>()
}
