//! Finds the key that was meant by one that does not exist.

use crate::text::distance;

/// Returns the known key that was meant by `written`, if one is near: without regard to case and
/// separators, with few letters changed, or the only one that contains it.
pub(super) fn meant<'a>(written: &str, known: &[&'a str]) -> Option<&'a str> {
    let plain_written = plain(written);
    if plain_written.is_empty() || plain_written.len() > MOST {
        return None;
    }
    let distance = |known: &str| distance(&plain_written, &plain(known));
    let near = known.iter().copied().map(|known| (distance(known), known)).min()?;
    let is_near = |(letters, known): (usize, &str)| letters <= known.len().div_ceil(4);
    if is_near(near) {
        return Some(near.1);
    }
    let contains = |known: &&&str| plain_written.len() > 3 && plain(known).contains(&plain_written);
    let mut containing = known.iter().filter(contains);
    let only = containing.next().copied();
    only.filter(|_| containing.next().is_none())
}

/// Longer keys are not compared.
const MOST: usize = 60;

/// A key without case and separators: `bucket-size` and `bucketSize` mean `bucket_size`.
fn plain(key: &str) -> String {
    key.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const KNOWN: [&str; 4] = ["rate", "bucket_size", "max_concurrent_requests", "max_doublings"];

    #[test]
    fn a_key_that_is_near_is_meant() {
        for (written, known) in [
            ("bucket-size", Some("bucket_size")),
            ("bucketSize", Some("bucket_size")),
            ("buket_size", Some("bucket_size")),
            ("rates", Some("rate")),
            ("max_concurrent_request", Some("max_concurrent_requests")),
            ("doublings", Some("max_doublings")),
            ("concurrent", Some("max_concurrent_requests")),
            ("max", None),
            ("colour", None),
            ("", None),
            ("~", None),
        ] {
            assert_eq!(meant(written, &KNOWN), known, "{written}");
        }
        assert_eq!(meant(&"bucket_size".repeat(100), &KNOWN), None);
        assert_eq!(meant("rate", &[]), None);
    }
}
