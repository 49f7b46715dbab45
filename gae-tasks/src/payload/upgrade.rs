//! Calls the functions that make args of the parameters that a task had before.

use serde::Deserialize;

use super::{Decoder, Tracer, UnreadableError};
use crate::outcome::BoxError;

/// What is asked of a task's upgrade functions: the schema of the struct that one takes, or the
/// args that one makes of a payload.
///
/// Generated code names each function once, for either, so that the compiler says once what is
/// wrong with it.
pub trait Upgrading<A>: Sized {
    /// The answer.
    type Output;

    /// Goes through `upgrade`, which is written as `name`.
    ///
    /// # Errors
    /// The struct has no schema or no named fields; the payload does not read as the struct; or the
    /// function refuses the struct.
    fn through<S, O>(
        self,
        name: &'static str,
        upgrade: impl Fn(S) -> O,
    ) -> Result<Self::Output, UnreadableError>
    where
        S: for<'de> Deserialize<'de>,
        O: UpgradesTo<A>;
}

impl<A> Upgrading<A> for &mut Tracer {
    type Output = ();

    fn through<S, O>(
        self,
        name: &'static str,
        _: impl Fn(S) -> O,
    ) -> Result<Self::Output, UnreadableError>
    where
        S: for<'de> Deserialize<'de>,
        O: UpgradesTo<A>,
    {
        self.fields::<S>(name)
    }
}

impl<A> Upgrading<A> for &mut Decoder<'_> {
    type Output = A;

    fn through<S, O>(
        self,
        name: &'static str,
        upgrade: impl Fn(S) -> O,
    ) -> Result<Self::Output, UnreadableError>
    where
        S: for<'de> Deserialize<'de>,
        O: UpgradesTo<A>,
    {
        let args = upgrade(self.fields::<S>()?).args();
        args.ok_or_else(|| UnreadableError::of_upgrade(name, "refuses the value"))
    }
}

/// What an upgrade function returns: the args `A`, or a `Result` of them.
#[diagnostic::on_unimplemented(
    message = "an upgrade cannot return `{Self}`",
    label = "this function does not return `{A}` or `Result<{A}, E>`",
    note = "an upgrade is `fn(Old) -> {A}` or `fn(Old) -> Result<{A}, E>`, where `Old` is a struct \
            of the old parameters and `E` turns into `Box<dyn Error + Send + Sync>`"
)]
pub trait UpgradesTo<A> {
    /// The args, unless the function refused.
    fn args(self) -> Option<A>;
}

#[diagnostic::do_not_recommend]
impl<A> UpgradesTo<A> for A {
    fn args(self) -> Option<A> {
        Some(self)
    }
}

// The error is dropped: its text may hold values of the payload, and what becomes of it is logged
// and stored.
#[diagnostic::do_not_recommend]
impl<A, E: Into<BoxError>> UpgradesTo<A> for Result<A, E> {
    fn args(self) -> Option<A> {
        self.ok()
    }
}

/// Asked for an upgrade of a number that the task does not have.
///
/// # Errors
/// Always.
pub fn no_upgrade<T>() -> Result<T, UnreadableError> {
    Err(UnreadableError::of_payload("has no upgrade of this number"))
}
