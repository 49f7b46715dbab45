//! What a task is: its kind, route, id, name and further fields.

mod deferred;
mod id;
mod kind;
mod name;
mod parse;
mod spec;
mod unique;

pub use self::deferred::{Conflict, Deferred};
pub use self::id::TaskId;
#[cfg(any(
    feature = "cloud-tasks",
    feature = "push",
    all(feature = "cron", feature = "yaml")
))]
pub(crate) use self::kind::URL_PREFIX;
pub use self::kind::{Kind, Route, Shape, kind_bytes, kind_len, kind_str};
pub use self::name::TaskName;
pub(crate) use self::spec::Redacted;
pub use self::spec::TaskSpec;
pub use self::unique::{OnConflict, Reschedule, UniqueKey};
