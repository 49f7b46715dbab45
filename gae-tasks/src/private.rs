//! Everything that generated code may name. Not part of the public API: any release may change it.

pub use core::fmt;
pub use core::option::Option;
pub use core::result::Result;
pub use core::time::Duration;
pub use std::sync::Arc;

pub use linkme;
pub use tracing;

pub use crate::__register as register;
pub use crate::defer::Defer;
pub use crate::handler::{
    Call, CallError, DowncastRef, Moved, MovedOther, MovedSend, Probe, ProbeAsRef, ProbeNothing,
    Returned, ReturnedOther, ReturnedOutput, Run, TaskError, TaskOutput, Unboxed, Work,
    downcast_intent, failed, output, parameter, shared,
};
pub use crate::outcome::Outcome;
pub use crate::payload::{
    Decoder, DefaultOf, DefaultParameter, Described, DescribedDebug, DescribedOther, Encoder,
    Parameter, Readings, TraceDeserialize, TraceOther, Traceable, Tracer, UnreadableError, Unshown,
    UpgradesTo, Upgrading, default_bytes, no_upgrade,
};
pub use crate::queue::TypeBackoff;
pub use crate::registration::{
    CronDeclaration, Location, REGISTRATIONS, Registration, StateType, Traced, Trial, Upgrade,
};
pub use crate::task::{kind_bytes, kind_len, kind_str};
pub use crate::task_type::{Args, Task, decode, encode, encode_checked, trial, upgrade};
