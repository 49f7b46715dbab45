//! Fuzzes the reader of payloads of another schema: the first byte chooses what reads, the second
//! is the length of the schema, which follows, and the others are the payload.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Debug;
use std::hint::black_box;
use std::net::SocketAddr;
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use gae_tasks::__private::{Decoder, Parameter};
use gae_tasks::Schema;
use gae_tasks::testing::pair::{self, Reader, Resolution};
use serde::Deserialize;
use serde_json::Value;

#[derive(Debug, Deserialize)]
#[expect(dead_code, reason = "they are shown")]
struct Order {
    id: u32,
    #[serde(alias = "positions")]
    lines: Vec<Line>,
    #[serde(default)]
    labels: BTreeMap<String, Option<char>>,
    address: Option<Box<(String, [bool; 2])>>,
    state: Choice,
    #[serde(default)]
    parent: Option<Box<Order>>,
    #[serde(default)]
    rate: f64,
}

#[derive(Debug, Deserialize)]
#[expect(dead_code, reason = "they are shown")]
struct Line {
    article: String,
    count: (u8, i64),
}

#[derive(Debug, Deserialize)]
#[expect(dead_code, reason = "they are shown")]
enum Choice {
    None,
    #[serde(alias = "Single")]
    One(Option<Box<str>>),
    Two(u64, i8),
    Named {
        id: u32,
        #[serde(default)]
        tags: Vec<Choice>,
    },
    #[serde(other)]
    Other,
}

/// What takes much room, and nothing of it in a payload.
#[derive(Debug, Deserialize)]
#[expect(dead_code, reason = "they are shown")]
struct Large {
    #[serde(default)]
    large: [u64; 16],
}

#[derive(Debug, Deserialize)]
#[expect(dead_code, reason = "they are shown")]
struct Chain {
    next: Option<Box<Chain>>,
    #[serde(default)]
    wide: u128,
}

type Leaves = (u8, i16, u64, i128, f32, char, String, (), bool);

/// A type that payloads are read as, with its schema.
struct ReadAs {
    schema: Schema,
    /// The value in words, read by name.
    by_name: fn(&Resolution, &[u8]) -> Option<String>,
    in_place: fn(&[u8]) -> Option<String>,
}

impl ReadAs {
    fn of<T: for<'de> Deserialize<'de> + Debug>() -> Self {
        Self {
            schema: pair::traced::<T>().expect("a schema"),
            by_name: |resolution, bytes| shown(&pair::read_by_name::<T>(resolution, bytes).ok()?),
            in_place: |bytes| shown(&pair::read_in_place::<T>(bytes).ok()?),
        }
    }
}

fn shown<T: Debug>(value: &T) -> Option<String> {
    Some(format!("{value:?}"))
}

/// The types that the first byte chooses from.
static TYPES: LazyLock<Vec<ReadAs>> = LazyLock::new(|| {
    vec![
        ReadAs::of::<Order>(),
        ReadAs::of::<Choice>(),
        ReadAs::of::<Leaves>(),
        ReadAs::of::<Vec<Large>>(),
        ReadAs::of::<Chain>(),
        ReadAs::of::<BTreeMap<i32, Vec<Option<()>>>>(),
        ReadAs::of::<HashMap<String, [u16; 2]>>(),
        ReadAs::of::<Option<Vec<u8>>>(),
        ReadAs::of::<(Duration, SocketAddr)>(),
        ReadAs::of::<Result<Box<Line>, String>>(),
    ]
});

const IGNORES: &[&[&str]] = &[&[], &["note", "p.note", "p.lines.note", "p.parent"]];

/// How long one input may take, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(5);

pub(super) fn check(bytes: &[u8]) {
    let [choice, len, rest @ ..] = bytes else { return };
    let Some((schema, payload)) = rest.split_at_checked(usize::from(*len)) else { return };
    let Ok(writer) = Schema::from_bytes(schema) else { return };
    let choice = usize::from(*choice);
    let read_as = &TYPES[choice % TYPES.len()];
    let ignores = IGNORES[choice / TYPES.len() % IGNORES.len()];
    let begin = Instant::now();
    let used = allocation_counter::measure(|| read(&writer, read_as, ignores, payload));
    let most = most(schema.len(), payload.len());
    assert!(used.bytes_max <= most, "{} bytes for {bytes:?}, most: {most}", used.bytes_max);
    let used = allocation_counter::measure(|| show(&writer, payload));
    assert!(used.bytes_max <= most, "{} bytes to show {bytes:?}", used.bytes_max);
    assert!(begin.elapsed() < PATIENCE, "{:?} for {bytes:?}", begin.elapsed());
}

/// The most bytes in use at a time. A payload may hold 1,024 values that take none, and 16 more for
/// each of its bytes; each of them is a [`Large`] at most, or has a name of the schema.
fn most(schema: usize, payload: usize) -> u64 {
    let values = 1024 + 64 * payload;
    (1 << 20) + (values * (512 + 4 * schema)) as u64
}

/// Reads a payload by name, and holds what was read against other ways to read it.
fn read(writer: &Schema, read_as: &ReadAs, ignores: &[&str], payload: &[u8]) {
    const PARAMETERS: &[Parameter] =
        &[Parameter { name: "p", aliases: &["q"], has_default: false, is_sensitive: false }];
    let reader = Reader { schema: &read_as.schema, parameters: PARAMETERS, ignores };
    let resolution = match Resolution::between(Arc::new(writer.clone()), &reader) {
        Ok(resolution) => resolution,
        Err(difference) => {
            assert_ne!(writer, &read_as.schema, "{difference}");
            return;
        }
    };
    let Some(value) = (read_as.by_name)(&resolution, payload) else {
        if resolution.refused().is_some() {
            // Then every payload is.
            assert!(pair::pass_over(&resolution, payload).is_err());
        }
        return;
    };
    pair::pass_over(&resolution, payload).expect("what can be read can be passed over");
    if writer == &read_as.schema {
        assert_eq!((read_as.in_place)(payload), Some(value), "{payload:?}");
    }
}

/// Reads a payload as whatever was written.
fn show(writer: &Schema, payload: &[u8]) {
    let value = Decoder::read_any(writer, payload, std::marker::PhantomData::<Value>);
    black_box(value.map(|value| value.to_string()).map_err(|error| error.to_string())).ok();
}
