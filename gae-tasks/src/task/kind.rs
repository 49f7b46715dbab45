//! The kind of a task, the shape of its payload, and both together, the route.

use std::borrow::Cow;
use std::fmt;

use crate::error::Error;
use crate::text::{debug_as_text, show_as_text};

/// The default prefix of task URLs, before the kind.
#[cfg(any(feature = "cloud-tasks", feature = "push", all(feature = "cron", feature = "yaml")))]
pub(crate) const URL_PREFIX: &str = "/_cb/deferred";

/// The stable identity of a task type: segments of `[A-Za-z0-9._-]` joined by `/`.
///
/// By default the module path and the function's name, e.g. `shop.emails/send_welcome`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Kind(Cow<'static, str>);

impl Kind {
    /// Creates the kind of a registered task type, whose syntax the attribute has checked.
    pub(crate) const fn from_static(kind: &'static str) -> Self {
        Self(Cow::Borrowed(kind))
    }

    /// Creates a kind, and checks its syntax.
    ///
    /// # Errors
    /// [`Error::Kind`] if `kind` has an empty segment, one of dots only, or a character other than
    /// `[A-Za-z0-9._/-]`.
    pub fn new(kind: impl Into<String>) -> Result<Self, Error> {
        let kind = kind.into();
        if is_kind(&kind) { Ok(Self(Cow::Owned(kind))) } else { Err(Error::Kind { value: kind }) }
    }

    /// The kind as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn is_kind(kind: &str) -> bool {
    // Whether the current segment contains anything but dots. Checked in one pass, as every request
    // of a push queue has a kind.
    let mut is_segment = false;
    for byte in kind.bytes() {
        match byte {
            b'/' if is_segment => is_segment = false,
            b'.' => {}
            b'_' | b'-' => is_segment = true,
            byte if byte.is_ascii_alphanumeric() => is_segment = true,
            _ => return false,
        }
    }
    is_segment
}

/// The length of the kind made from `module::path/function`: `::` becomes `.`, `r#` is removed.
#[doc(hidden)]
pub const fn kind_len(path: &str) -> usize {
    let (path, mut read, mut len) = (path.as_bytes(), 0, 0);
    while read < path.len() {
        let (byte, used) = kind_step(path, read);
        len += byte.is_some() as usize;
        read += used;
    }
    len
}

/// The bytes of the kind made from `module::path/function`.
#[doc(hidden)]
pub const fn kind_bytes<const LEN: usize>(path: &str) -> [u8; LEN] {
    let (path, mut read, mut written, mut kind) = (path.as_bytes(), 0, 0, [0; LEN]);
    while read < path.len() {
        let (byte, used) = kind_step(path, read);
        if let Some(byte) = byte {
            kind[written] = byte;
            written += 1;
        }
        read += used;
    }
    kind
}

/// The next byte of a kind, if any, and the number of bytes of the path that it uses.
const fn kind_step(path: &[u8], at: usize) -> (Option<u8>, usize) {
    match path[at] {
        b':' => (Some(b'.'), 2),
        b'r' if at + 1 < path.len() && path[at + 1] == b'#' => (None, 2),
        byte if byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'/' | b'.') => {
            (Some(byte), 1)
        }
        _ => panic!(
            "the module path or the function's name is not ASCII, so no kind can be made of it: \
             add `name = \"..\"`"
        ),
    }
}

/// Creates the kind with these bytes.
#[doc(hidden)]
pub const fn kind_str(kind: &[u8]) -> &str {
    match core::str::from_utf8(kind) {
        Ok(kind) => kind,
        Err(_) => unreachable!(),
    }
}

/// The fingerprint of a task's [`Schema`](crate::Schema): of the structure and names of its
/// parameters.
///
/// Payloads are positional, so bytes of another shape are read by name, through the schema that
/// they were written under. How a type is written does not matter: aliases, paths, `Box<T>` and
/// newtypes do not change the shape. The first byte of a shape is the version of the algorithm that
/// made it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Shape(u64);

impl Shape {
    /// Stands for the shape of a task whose body could not be opened.
    #[cfg(any(feature = "push", feature = "cloud-tasks"))]
    pub(crate) const UNREADABLE: Self = Self(0);

    /// Reads a shape from its stored form.
    pub const fn from_bits(bits: u64) -> Self {
        Self(bits)
    }

    /// The stored form of the shape.
    pub const fn to_bits(self) -> u64 {
        self.0
    }

    /// The version of the algorithm that this program knows.
    const KNOWN: u64 = 1;

    /// Algorithm version 1: FNV-1a over the canonical form of a schema.
    pub(crate) fn of_schema(bytes: &[u8]) -> Self {
        let step = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        let hash = bytes.iter().fold(0xcbf2_9ce4_8422_2325, step);
        Self(hash >> 8 | Self::KNOWN << 56)
    }

    /// Whether these bytes may be the schema of this shape: they have it, or a newer version of
    /// this crate made the shape and knows.
    pub(crate) fn may_be_of(self, schema: &[u8]) -> bool {
        self.is_newer() || Self::of_schema(schema) == self
    }

    /// Whether it is of an algorithm that this program does not know.
    pub(crate) const fn is_newer(self) -> bool {
        self.0 >> 56 > Self::KNOWN
    }

    /// Whether it is of algorithm version 0, which hashed the names of types as they were written.
    pub(crate) const fn is_of_type_names(self) -> bool {
        self.0 >> 56 == 0
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// A kind together with a payload shape: what an instance can or cannot run.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Route {
    kind: Kind,
    shape: Shape,
}

impl Route {
    /// Creates the route of `kind` with payloads of `shape`.
    pub const fn new(kind: Kind, shape: Shape) -> Self {
        Self { kind, shape }
    }

    /// The kind.
    pub const fn kind(&self) -> &Kind {
        &self.kind
    }

    /// The shape of the payload.
    pub const fn shape(&self) -> Shape {
        self.shape
    }
}

show_as_text!(Kind);
debug_as_text!(Shape);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_url_paths() {
        for good in ["shop.emails/send_welcome", "a", "a-b/c.d/e_f"] {
            assert!(Kind::new(good).is_ok(), "{good}");
        }
        for bad in ["", "/", "a/", "/a", "a//b", ".", "..", "a/../b", "a b", "ä", "a?b"] {
            assert!(Kind::new(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_kind_is_made_of_a_module_path() {
        const PATH: &str = "shop::r#type::emails/r#send";
        const KIND: [u8; kind_len(PATH)] = kind_bytes(PATH);
        assert_eq!(kind_str(&KIND), "shop.type.emails/send");
        const OF_METHOD: &str = "shop::emails/Invoice.send";
        const KIND_OF_METHOD: [u8; kind_len(OF_METHOD)] = kind_bytes(OF_METHOD);
        assert_eq!(kind_str(&KIND_OF_METHOD), "shop.emails/Invoice.send");
    }

    #[test]
    fn shapes_are_of_version_1() {
        let (one, other) = (Shape::of_schema(&[0]), Shape::of_schema(&[0, 0]));
        assert_ne!(one, other);
        assert_eq!((one.to_bits() >> 56, other.to_bits() >> 56), (1, 1));
        assert!(
            !one.is_of_type_names() && Shape::from_bits(0x00cb_f29c_e484_2223).is_of_type_names()
        );
        assert!(!one.is_newer() && Shape::from_bits(2 << 56).is_newer());
    }

    #[test]
    fn bytes_have_one_shape_and_what_a_newer_version_made_is_not_judged() {
        let shape = Shape::of_schema(b"one");
        assert!(shape.may_be_of(b"one") && !shape.may_be_of(b"two") && !shape.may_be_of(b""));
        assert!(!Shape::from_bits(7).may_be_of(b"one"), "of names of types");
        assert!(Shape::from_bits(2 << 56).may_be_of(b"one"));
    }
}
