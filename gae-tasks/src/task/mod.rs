//! What a task is: its kind, route, id, name and further fields, and the [`Task`] type behind them.

mod id;
mod kind;
mod name;
mod spec;

pub use self::id::TaskId;
pub use self::kind::{Kind, Route, Shape, kind_bytes, kind_len, kind_str};
pub use self::name::{Deferred, TaskName};
pub(crate) use self::spec::Hidden;
pub use self::spec::TaskSpec;
use crate::payload::Args;
use crate::registry::Registration;

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
