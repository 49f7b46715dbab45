//! All that generated code may name. Not part of the public API: any release may change it.

pub use core::any::{TypeId, type_name};
pub use core::convert::Into;
pub use core::fmt;
pub use core::option::Option;
pub use core::result::Result;
pub use core::time::Duration;
pub use std::boxed::Box;
pub use std::string::String;

pub use linkme;
pub use serde::Serialize;
pub use serde::de::DeserializeOwned;
pub use tracing;

pub use crate::context::TaskContext;
pub use crate::defer::Defer;
pub use crate::handler::{
    Call, CallError, DowncastRef, Probe, ProbeAsRef, ProbeNothing, Run, TaskOutput, Work, downcast_intent, failed,
};
pub use crate::outcome::{Outcome, PermanentTaskFailure, SingularTaskFailure, TaskFailure};
pub use crate::payload::{Args, Decoder, Encoder, UnreadableError};
pub use crate::registry::{Location, REGISTRATIONS, Registration, StateType};
pub use crate::task::{Shape, Task, kind_bytes, kind_len, kind_str};
