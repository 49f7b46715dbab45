//! The types that the attribute generates for a function: the [`Task`] type and its [`Args`]. Args
//! are stored as bytes that are checked to be readable.

use std::fmt;

use crate::handler::{Call, CallError};
use crate::payload::{Decoder, Encoder, Reading, Tracer, UnreadableError, no_upgrade};
use crate::registration::{Registration, Trial};

/// A task type, which `#[deferred]` generates under the function's own name; for a method
/// `Invoice::send`, as `InvoiceSend`.
///
/// A task type has no values. It names the task where a type parameter is needed, as in
/// `client.stats_of::<send_welcome>()` or `Registry::new().with::<send_welcome>()`.
///
/// Implemented by the attribute only.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a task",
    label = "this type was not made by `#[deferred]`",
    note = "name the function that carries `#[deferred]`: its task type has the same name; that of \
            a method `Invoice::send` is `InvoiceSend`"
)]
pub trait Task: 'static {
    /// The stable identity of the task type, e.g. `shop.emails/send_welcome`.
    const KIND: &'static str;
    /// The queues that tasks of this type are deferred to; never empty. Several queues are spread
    /// over.
    const QUEUES: &'static [&'static str];
    /// The first of [`Self::QUEUES`].
    const QUEUE: &'static str = Self::QUEUES[0];
    /// The typed arguments that are stored with each task.
    type Args: Args<Task = Self>;
    /// The return type of the function.
    type Output;

    #[doc(hidden)]
    fn registration() -> &'static Registration;
}

/// The typed arguments of a task, as `#[deferred]` generates them from the function's parameters.
///
/// Implemented by the attribute only, which proves each parameter `Send`.
pub trait Args: Sized + 'static {
    /// The task type of these arguments.
    type Task: Task<Args = Self>;

    #[doc(hidden)]
    fn encode(&self, payload: &mut Encoder) -> Result<(), UnreadableError>;

    #[doc(hidden)]
    fn decode(payload: &mut Decoder<'_>) -> Result<Self, UnreadableError>;

    /// Makes args of a payload of older parameters, by the task's upgrade function of this number.
    #[doc(hidden)]
    fn upgrade(index: usize, payload: &mut Decoder<'_>) -> Result<Self, UnreadableError> {
        _ = (index, payload);
        no_upgrade()
    }

    /// Traces each parameter.
    #[doc(hidden)]
    fn trace(tracer: &mut Tracer) -> Result<(), UnreadableError>;

    /// Shows each parameter, and its value if its type is `Debug`, for near misses of asserts.
    #[doc(hidden)]
    fn describe(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result;
}

impl Call<'_> {
    /// Decodes the args.
    ///
    /// # Errors
    /// The payload does not decode as `A`.
    pub fn args<A: Args>(&self) -> Result<A, CallError> {
        let (payload, reading) = self.payload();
        read(payload, reading).map_err(CallError::Unreadable)
    }
}

/// The initial capacity of the buffer in bytes; longer payloads grow it.
const TYPICAL_LEN: usize = 128;

/// Encodes `args`.
///
/// # Errors
/// The args have no schema, cannot be written, or are written as something else than is read.
pub fn encode<A: Args>(args: &A) -> Result<Vec<u8>, UnreadableError> {
    encode_expecting(args, TYPICAL_LEN)
}

/// Encodes `args`, and proves that they can be read back.
///
/// # Errors
/// As of [`encode`], or they are read back as other args.
pub fn encode_checked<A: Args>(args: &A) -> Result<Vec<u8>, UnreadableError> {
    encode_readable::<A>(|encoder| args.encode(encoder))
}

fn encode_expecting<A: Args>(args: &A, len: usize) -> Result<Vec<u8>, UnreadableError> {
    let mut encoder = encoder::<A>(len)?;
    args.encode(&mut encoder)?;
    Ok(encoder.into_bytes())
}

#[inline]
fn encoder<A: Args>(len: usize) -> Result<Encoder, UnreadableError> {
    let schema = A::Task::registration().schema().map_err(Clone::clone)?;
    Ok(Encoder::with_room(schema, len))
}

/// Decodes args from `bytes`, all of which must be used.
///
/// # Errors
/// The codec cannot read the args, or bytes are left over.
pub fn decode<A: Args>(bytes: &[u8]) -> Result<A, UnreadableError> {
    whole(Decoder::new(bytes), A::decode)
}

/// Makes args of `bytes`, which are exactly the struct that an upgrade function of this number
/// takes.
///
/// # Errors
/// The codec cannot read the struct, bytes are left over, or the function refuses the struct.
pub fn upgrade<A: Args>(index: usize, bytes: &[u8]) -> Result<A, UnreadableError> {
    whole(Decoder::new(bytes), |payload| A::upgrade(index, payload))
}

/// Makes args of a payload of any schema for which there is a `reading`.
///
/// # Errors
/// This payload cannot be read so, or the upgrade function refuses it.
pub(crate) fn read<A: Args>(bytes: &[u8], reading: &Reading) -> Result<A, UnreadableError> {
    match reading {
        Reading::Own => decode(bytes),
        Reading::ByName(resolution) => whole(Decoder::resolved(resolution, bytes)?, A::decode),
        Reading::Upgrade(number) => upgrade(*number, bytes),
        Reading::UpgradeByName(number, resolution) => {
            whole(Decoder::resolved(resolution, bytes)?, |payload| A::upgrade(*number, payload))
        }
    }
}

/// Reads payloads as `A` and drops what was read, to find out whether that is possible.
pub const fn trial<A: Args>() -> Trial {
    Trial(|payload, reading| read::<A>(payload, reading).map(drop))
}

fn whole<'a, A>(
    mut decoder: Decoder<'a>,
    read: impl FnOnce(&mut Decoder<'a>) -> Result<A, UnreadableError>,
) -> Result<A, UnreadableError> {
    let args = read(&mut decoder)?;
    decoder.end()?;
    Ok(args)
}

/// Encodes what `write` writes of the args `A`, and verifies that the bytes decode completely and
/// to the same length.
///
/// The encoder compares what is written with what is read, in the branches that the value takes. A
/// type may still refuse its own bytes, or read them as another value, such as a set that drops an
/// element. That is found here, where the caller sees the error, instead of later in a worker.
/// Lengths are compared instead of bytes, because hash maps reorder.
pub(crate) fn encode_readable<A: Args>(
    write: impl Fn(&mut Encoder) -> Result<(), UnreadableError>,
) -> Result<Vec<u8>, UnreadableError> {
    let mut encoder = encoder::<A>(TYPICAL_LEN)?;
    write(&mut encoder)?;
    let bytes = encoder.into_bytes();
    let read = decode::<A>(&bytes)?;
    if encode_expecting(&read, bytes.len())?.len() == bytes.len() {
        Ok(bytes)
    } else {
        Err(another_value::<A>(&write, &read))
    }
}

type Write<'a> = &'a dyn Fn(&mut Encoder) -> Result<(), UnreadableError>;

/// The error for args that are read back as other args.
#[cold]
fn another_value<A: Args>(write: Write<'_>, read: &A) -> UnreadableError {
    const REASON: &str = "cannot be stored: it reads back as another value than was written, so \
                          its `Serialize` and `Deserialize` are not each other's inverse (in \
                          `gae_tasks::Json<T>`: a field that only one of them has, or a default \
                          that is not what was left out)";
    let ends = |write: Write<'_>| -> Result<_, UnreadableError> {
        let mut encoder = encoder::<A>(TYPICAL_LEN)?.with_ends();
        write(&mut encoder)?;
        Ok(encoder.into_ends())
    };
    let (Ok(ends), Ok(ends_of_read)) = (ends(write), ends(&|encoder| read.encode(encoder))) else {
        return UnreadableError::of_payload(REASON);
    };
    match ends.into_iter().zip(ends_of_read).find(|(one, other)| one != other) {
        Some((one, _)) => UnreadableError::of_type(one.name, one.of, REASON),
        None => UnreadableError::of_payload(REASON),
    }
}
