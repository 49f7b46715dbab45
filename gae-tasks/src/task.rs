//! What a task is: its kind, route, id and name, and the [`Task`] type behind them.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use uuid::{Builder, Uuid};

use crate::error::Error;
use crate::payload::Args;
use crate::random;
use crate::registry::Registration;
use crate::time::Timestamp;

/// A task type: what `#[deferred]` makes beside a function, under the function's own name.
///
/// It has no values. It names the task where a type is asked for, as in
/// `client.stats_of::<send_welcome>()` or `Registry::new().with::<send_welcome>()`.
///
/// Implemented by the attribute only.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no task",
    label = "this type was not made by `#[deferred]`",
    note = "name the function that carries `#[deferred]`: its task type has the same name"
)]
pub trait Task: 'static {
    /// The stable identity of the task type, e.g. `shop.emails/send_welcome`.
    const KIND: &'static str;
    /// The queues it is deferred to; never empty. Several are spread over.
    const QUEUES: &'static [&'static str];
    /// The first of [`Self::QUEUES`].
    const QUEUE: &'static str = Self::QUEUES[0];
    /// The typed arguments that are stored with each task.
    type Args: Args<Task = Self>;
    /// What the function returns.
    type Output;

    #[doc(hidden)]
    fn registration() -> &'static Registration;
}

/// The stable identity of a task type: segments of `[A-Za-z0-9._-]` joined by `/`.
///
/// By default the module path and the function's name, e.g. `shop.emails/send_welcome`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Kind(Cow<'static, str>);

impl Kind {
    /// The kind of a registered task type, whose syntax the attribute has checked.
    pub(crate) const fn from_static(kind: &'static str) -> Self {
        Self(Cow::Borrowed(kind))
    }

    /// A kind from outside.
    ///
    /// # Errors
    /// [`Error::Kind`] if `kind` has an empty segment, one of dots only, or a character other than `[A-Za-z0-9._/-]`.
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
    // Whether the segment so far has anything but dots; asked of every request of a push queue, so in one go.
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

/// The length of the kind made of a `module::path/function`: `::` becomes `.`, and `r#` goes.
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

/// The bytes of the kind made of a `module::path/function`.
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

/// The next byte of a kind, if any, and how many bytes of the path it uses up.
const fn kind_step(path: &[u8], at: usize) -> (Option<u8>, usize) {
    match path[at] {
        b':' => (Some(b'.'), 2),
        b'r' if at + 1 < path.len() && path[at + 1] == b'#' => (None, 2),
        byte if byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'/' => (Some(byte), 1),
        _ => panic!(
            "the module path or the function's name is not ASCII, so no kind can be made of it: add `name = \"..\"`"
        ),
    }
}

/// The kind whose bytes these are.
#[doc(hidden)]
pub const fn kind_str(kind: &[u8]) -> &str {
    match core::str::from_utf8(kind) {
        Ok(kind) => kind,
        Err(_) => unreachable!(),
    }
}

/// The fingerprint of a task's parameters.
///
/// Payloads are positional, so bytes of another shape could decode into wrong values; they are never decoded.
/// The first byte is the version of the algorithm that made it, so a newer algorithm strands nothing.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Shape(u64);

impl Shape {
    /// A shape as it was stored.
    pub const fn from_bits(bits: u64) -> Self {
        Self(bits)
    }

    /// The shape as it is stored.
    pub const fn to_bits(self) -> u64 {
        self.0
    }

    /// Algorithm version 0: FNV-1a over the parameters' types as they are written in the function.
    #[doc(hidden)]
    pub const fn of_types(types: &[&str]) -> Self {
        let mut hash = 0xcbf2_9ce4_8422_2325_u64;
        let mut i = 0;
        while i < types.len() {
            let bytes = types[i].as_bytes();
            let mut j = 0;
            while j < bytes.len() {
                hash = (hash ^ bytes[j] as u64).wrapping_mul(0x0100_0000_01b3);
                j += 1;
            }
            // A separator no type is written with, so ("ab", "c") and ("a", "bc") differ.
            hash = (hash ^ 0xff).wrapping_mul(0x0100_0000_01b3);
            i += 1;
        }
        Self(hash >> 8)
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
    /// The route of `kind` with payloads of `shape`.
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

/// The id of one task: 128 bits made by the client that deferred it, ordered by time.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TaskId(Uuid);

impl TaskId {
    /// A new id, unlike any other and after all that this process made before.
    ///
    /// A UUID of version 7 (RFC 9562, §6.2, method 3), made without the lock that `uuid` takes: a child that is forked
    /// while another thread holds a lock finds it held for ever. Parent and child are told apart by the random half.
    pub(crate) fn generate() -> Self {
        let tick = next_tick();
        let [a, b] = u16::to_be_bytes((tick & 0xfff) as u16);
        let [c, d, e, f, g, h, i, j] = random::bits().to_be_bytes();
        Self(Builder::from_unix_timestamp_millis(tick >> 12, &[a, b, c, d, e, f, g, h, i, j]).into_uuid())
    }

    /// The lowest id that is made at `moment` or later.
    pub(crate) fn first_of(moment: Timestamp) -> Self {
        let millis = u64::try_from(moment.as_micros() / 1_000).unwrap_or_default();
        Self(Uuid::from_u64_pair(millis << 16, 0))
    }

    /// When it was made, if it tells: to the millisecond.
    #[cfg(feature = "push")]
    pub(crate) fn made(self) -> Option<Timestamp> {
        let (seconds, nanos) = self.0.get_timestamp()?.to_unix();
        let micros = i64::try_from(seconds).ok()?.checked_mul(1_000_000)?.checked_add(i64::from(nanos / 1000))?;
        Some(Timestamp::from_micros(micros))
    }

    /// An id from its 16 bytes.
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(Uuid::from_bytes(bytes))
    }

    /// The 16 bytes of the id.
    pub const fn as_bytes(&self) -> &[u8; 16] {
        self.0.as_bytes()
    }
}

/// The time in 4,096ths of a millisecond, or a little more: never the same twice, and never less than before.
fn next_tick() -> u64 {
    static LAST: AtomicU64 = AtomicU64::new(0);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let millis = now.as_secs() * 1_000 + u64::from(now.subsec_millis());
    let now = millis * 4_096 + u64::from(now.subsec_nanos()) % 1_000_000 * 4_096 / 1_000_000;
    let next = |last: u64| now.max(last + 1);
    LAST.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |last| Some(next(last))).map_or_else(next, next)
}

impl fmt::Display for TaskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for TaskId {
    type Err = Error;

    /// # Errors
    /// [`Error::TaskId`] if the text is not a UUID.
    fn from_str(text: &str) -> Result<Self, Error> {
        Uuid::parse_str(text).map(Self).map_err(|_| Error::TaskId { value: text.to_owned() })
    }
}

/// The id a caller chose for one task, so that it is deferred once: `[A-Za-z0-9_-]{1,500}`.
///
/// Names belong to a queue: the same name in two queues is two tasks.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TaskName(String);

impl TaskName {
    /// A name for a task.
    ///
    /// # Errors
    /// [`Error::TaskName`] if it is empty, longer than 500 characters, or has one other than `[A-Za-z0-9_-]`.
    pub fn new(name: impl Into<String>) -> Result<Self, Error> {
        let name = name.into();
        let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-');
        if (1..=500).contains(&name.len()) && name.bytes().all(allowed) {
            Ok(Self(name))
        } else {
            Err(Error::TaskName { value: name })
        }
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The answer to a defer: the task is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Deferred {
    /// The id of the task; where the name was in use, that of the task that has it, or had it until it was over.
    pub id: TaskId,
    /// Whether this call created the task; `false` where the name was in use.
    pub created: bool,
}

impl Deferred {
    pub(crate) const fn new(id: TaskId, created: bool) -> Self {
        Self { id, created }
    }
}

macro_rules! text {
    ($($type:ident),*) => {$(
        impl fmt::Debug for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($type), "({})"), self)
            }
        }
    )*};
}
macro_rules! text_display {
    ($($type:ident),*) => {$(
        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }
        impl AsRef<str> for $type {
            fn as_ref(&self) -> &str {
                self.as_str()
            }
        }
    )*};
}
text!(Kind, Shape, TaskId, TaskName);
text_display!(Kind, TaskName);

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
    }

    #[test]
    fn task_names_have_limits() {
        assert!(TaskName::new("welcome-42_x").is_ok());
        assert!(TaskName::new("x".repeat(500)).is_ok());
        for bad in [String::new(), "x".repeat(501), "a b".into(), "a/b".into(), "é".into()] {
            assert!(TaskName::new(bad).is_err());
        }
    }

    #[test]
    fn shapes_tell_parameters_apart() {
        assert_ne!(Shape::of_types(&["ab", "c"]), Shape::of_types(&["a", "bc"]));
        assert_ne!(Shape::of_types(&[]), Shape::of_types(&[""]));
        assert_eq!(Shape::of_types(&["u64", "String"]), Shape::of_types(&["u64", "String"]));
    }

    #[test]
    fn version_0_shapes_never_change() {
        // Stored tasks carry these numbers: another result here would strand them.
        assert_eq!(Shape::of_types(&[]).to_bits(), 0x00cb_f29c_e484_2223);
        assert_eq!(Shape::of_types(&["u64"]).to_bits() >> 56, 0);
    }

    #[test]
    fn ids_are_ordered_by_time_and_read_back() {
        let (first, second) = (TaskId::generate(), TaskId::generate());
        assert!(first < second);
        assert_eq!(first.to_string().parse::<TaskId>().unwrap(), first);
        assert!("nonsense".parse::<TaskId>().is_err());
        assert_eq!((first.0.get_version_num(), first.0.get_variant()), (7, uuid::Variant::RFC4122));
    }

    #[test]
    fn ids_tell_when_they_were_made_and_differ_by_chance_too() {
        let now = || SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as u64;
        let before = now();
        let ids: Vec<_> = (0..1_000).map(|_| TaskId::generate()).collect();
        let after = now();
        for id in &ids {
            let (seconds, nanos) = id.0.get_timestamp().unwrap().to_unix();
            let made = seconds * 1_000 + u64::from(nanos) / 1_000_000;
            assert!((before..=after + 50).contains(&made), "{before} {made} {after}");
        }
        let halves: std::collections::BTreeSet<_> = ids.iter().map(|id| id.0.as_u64_pair().1).collect();
        assert_eq!(halves.len(), ids.len(), "as parent and child of a fork may make the other half alike");
    }

    #[test]
    fn ids_that_threads_make_at_the_same_time_differ_in_their_time_too() {
        let make = || (0..20_000).map(|_| TaskId::generate()).collect::<Vec<_>>();
        let threads: Vec<_> = (0..4).map(|_| std::thread::spawn(make)).collect();
        let made: Vec<_> = threads.into_iter().map(|thread| thread.join().unwrap()).collect();
        assert!(made.iter().all(|ids| ids.is_sorted()), "each thread's in the order in which it made them");
        let firsts: std::collections::BTreeSet<_> = made.iter().flatten().map(|id| id.0.as_u64_pair().0).collect();
        assert_eq!(firsts.len(), 80_000);
    }
}
