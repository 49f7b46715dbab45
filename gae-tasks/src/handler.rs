//! The calling convention between dispatch and generated code: what a handler is called with, and
//! what it returns.

use std::convert::Infallible;
use std::error::Error as StdError;
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::Arc;

use crate::context::{States, TaskContext};
use crate::outcome::{
    BoxError, Intent, Outcome, PermanentTaskFailure, SingularTaskFailure, TaskFailure,
};
use crate::payload::{Reading, UnreadableError};
use crate::task::Redacted;

/// Prepares one call of the user's function: decodes the args and looks the state up.
pub type Run = fn(&Call<'_>) -> Result<Work, CallError>;

/// A call of the user's function that is ready to be made.
pub enum Work {
    /// An `async fn`: polled on the worker's runtime.
    Async(Pin<Box<dyn Future<Output = Outcome> + Send>>),
    /// A plain `fn`: called on the blocking pool.
    Blocking(Box<dyn FnOnce() -> Outcome + Send>),
}

impl std::fmt::Debug for Work {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Async(_) => "Work::Async",
            Self::Blocking(_) => "Work::Blocking",
        })
    }
}

/// The inputs of one call of a handler.
pub struct Call<'a> {
    payload: &'a [u8],
    reading: &'a Reading,
    states: &'a States,
    context: &'a TaskContext,
}

impl std::fmt::Debug for Call<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Call")
            .field("payload", &Redacted(self.payload))
            .field("context", self.context)
            .finish_non_exhaustive()
    }
}

impl<'a> Call<'a> {
    pub(crate) fn new(
        payload: &'a [u8],
        reading: &'a Reading,
        states: &'a States,
        context: &'a TaskContext,
    ) -> Self {
        Self { payload, reading, states, context }
    }

    /// The bytes, and how they become args.
    pub(crate) fn payload(&self) -> (&'a [u8], &'a Reading) {
        (self.payload, self.reading)
    }

    /// The state of type `S`.
    ///
    /// # Errors
    /// The client has no state of that type.
    pub fn state<S: Send + Sync + 'static>(&self) -> Result<Arc<S>, CallError> {
        self.states.get().ok_or(CallError::MissingState(std::any::type_name::<S>()))
    }

    /// The context of the attempt.
    pub fn context(&self) -> TaskContext {
        self.context.clone()
    }
}

/// Why a handler could not be called.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// The payload does not decode.
    #[error("the stored payload cannot be read")]
    Unreadable(#[source] UnreadableError),
    /// A state is missing.
    #[error("the client has no state of type `{0}`: add `.state(..)` to its builder")]
    MissingState(&'static str),
}

/// Requires the bounds of a parameter type that no other generated code requires.
pub fn parameter<T: Send + 'static>() {}

/// Requires `Sync` of a receiver that a future borrows.
pub fn shared<T: Sync>() {}

/// Everything that is moved into the work of one call, as a tuple type.
///
/// Work must be `Send`, and is not if one of the moved values is not. The compiler reports such a
/// value at its parameter or state; [`MovedOther`] then accepts the work, so that the same mistake
/// is not reported twice. Called on `&&Moved`.
pub struct Moved<T>(PhantomData<T>);

impl<T> Moved<T> {
    /// A value to call the methods of [`MovedSend`] and [`MovedOther`] on.
    #[expect(clippy::new_without_default, reason = "generated code names what it calls")]
    pub const fn new() -> Self {
        Self(PhantomData)
    }
}

impl<T> std::fmt::Debug for Moved<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Moved")
    }
}

/// Makes the work of a call all of whose parts are `Send`.
pub trait MovedSend {
    /// The work of an `async fn`.
    fn future<F: Future<Output = Outcome> + Send + 'static>(&self, future: F) -> Work {
        Work::Async(Box::pin(future))
    }
    /// The work of a plain `fn`.
    fn call<F: FnOnce() -> Outcome + Send + 'static>(&self, call: F) -> Work {
        Work::Blocking(Box::new(call))
    }
}

impl<T: Send> MovedSend for &Moved<T> {}

/// Makes the work of a call that the compiler has refused.
pub trait MovedOther {
    /// The work of an `async fn`.
    fn future<F: Future<Output = Outcome>>(&self, _: F) -> Work {
        unreachable!("the compiler refuses a parameter that is not `Send`")
    }
    /// The work of a plain `fn`.
    fn call<F: FnOnce() -> Outcome>(&self, _: F) -> Work {
        unreachable!("the compiler refuses a parameter that is not `Send`")
    }
}

impl<T> MovedOther for Moved<T> {}

/// A return type of a task function: `()`, or a `Result` whose error turns into a boxed error.
#[diagnostic::on_unimplemented(
    message = "a task cannot return `{Self}`",
    label = "return `()` or `Result<_, E>` here",
    note = "`E` can be any error type that is `Send + Sync`, `anyhow::Error`, `String` or `Box<dyn \
            Error + Send + Sync>`"
)]
pub trait TaskOutput {
    /// The error of a failed call.
    type Error;
    /// The output with its success value dropped.
    ///
    /// # Errors
    /// The call failed.
    fn into_result(self) -> Result<(), Unboxed<Self::Error>>;
}

// Not recommended: the trait's own message is complete, and for a type that is not an `Error` the
// compiler would list the standard library's conversions into `Box` instead.
#[diagnostic::do_not_recommend]
impl TaskOutput for () {
    type Error = Infallible;
    fn into_result(self) -> Result<(), Unboxed<Infallible>> {
        Ok(())
    }
}

impl<T, E: TaskError> TaskOutput for Result<T, E> {
    type Error = E;
    fn into_result(self) -> Result<(), Unboxed<E>> {
        self.map(drop).map_err(|error| Unboxed { error, boxed: E::boxed })
    }
}

/// An error type of a task.
#[diagnostic::on_unimplemented(
    message = "a task cannot fail with `{Self}`",
    label = "its error type, `{Self}`, does not turn into `Box<dyn Error + Send + Sync>`",
    note = "implement `std::error::Error` for it, with `Send + Sync` fields (`thiserror` helps), \
            or return `anyhow::Error`, `String` or `Box<dyn Error + Send + Sync>`"
)]
pub trait TaskError {
    /// The error, boxed for the storage and the log.
    fn boxed(self) -> BoxError;
}

#[diagnostic::do_not_recommend]
impl<E: Into<BoxError>> TaskError for E {
    fn boxed(self) -> BoxError {
        self.into()
    }
}

/// The error of a failed call; generated code looks at its type before the error is boxed.
///
/// The type carries the conversion, so that generated code need not require the trait again.
pub struct Unboxed<E> {
    /// The error.
    pub error: E,
    boxed: fn(E) -> BoxError,
}

impl<E> std::fmt::Debug for Unboxed<E> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Unboxed").finish_non_exhaustive()
    }
}

/// Requires a function's return type to be a [`TaskOutput`].
pub fn output<R: TaskOutput>() {}

/// The return type of a task function. Called on `&&Returned`.
///
/// Like [`Moved`]: the compiler reports a type that is not a [`TaskOutput`] where the type is
/// written, and [`ReturnedOther`] then accepts it.
pub struct Returned<R>(PhantomData<R>);

impl<R> Returned<R> {
    /// A value to call the methods of [`ReturnedOutput`] and [`ReturnedOther`] on.
    #[expect(clippy::new_without_default, reason = "generated code names what it calls")]
    pub const fn new() -> Self {
        Self(PhantomData)
    }
}

impl<R> std::fmt::Debug for Returned<R> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Returned")
    }
}

/// Makes the result of a return type that a task may have.
pub trait ReturnedOutput<R: TaskOutput> {
    /// Drops the success value of a call.
    ///
    /// # Errors
    /// The call failed.
    fn result(&self, output: R) -> Result<(), Unboxed<R::Error>> {
        output.into_result()
    }
}

impl<R: TaskOutput> ReturnedOutput<R> for &Returned<R> {}

/// Accepts a return type that the compiler has refused.
pub trait ReturnedOther<R> {
    /// Never runs.
    ///
    /// # Errors
    /// None.
    fn result(&self, _: R) -> Result<(), Unboxed<Infallible>> {
        unreachable!("the compiler refuses a type that is not a `TaskOutput`")
    }
}

impl<R> ReturnedOther<R> for Returned<R> {}

/// Finds the intent of an error that hides its type from `dyn Error`: `anyhow` and `eyre` offer an
/// attached failure through their inherent `downcast_ref` only. Method resolution prefers an
/// inherent method to this trait's.
pub trait DowncastRef {
    /// None: this type has no inherent `downcast_ref`.
    fn downcast_ref<T>(&self) -> Option<&T> {
        None
    }
}

impl<E: ?Sized> DowncastRef for E {}

/// The intent of the failure that an error's inherent `downcast_ref` found.
pub fn downcast_intent(
    permanent: Option<&PermanentTaskFailure>,
    singular: Option<&SingularTaskFailure>,
    other: Option<&TaskFailure>,
) -> Option<Intent> {
    permanent
        .map(PermanentTaskFailure::intent)
        .or_else(|| singular.map(SingularTaskFailure::intent))
        .or_else(|| other.map(TaskFailure::intent))
}

/// Looks through a reference at an error that is `AsRef<dyn Error>`: boxing an `anyhow::Error`
/// loses its outermost type.
#[derive(Debug)]
pub struct Probe<'a, E>(pub &'a E);

/// Finds the intent of an error that can be seen as `dyn Error`. Called on `&&Probe`, for which
/// this trait is found first.
pub trait ProbeAsRef {
    /// The intent found in the chain.
    fn intent(&self) -> Option<Intent>;
}

impl<E: AsRef<dyn StdError + Send + Sync>> ProbeAsRef for &Probe<'_, E> {
    fn intent(&self) -> Option<Intent> {
        Intent::of(self.0.as_ref())
    }
}

/// The fallback for all other errors, whose intent is found once they are boxed.
pub trait ProbeNothing {
    /// None.
    fn intent(&self) -> Option<Intent> {
        None
    }
}

impl<E> ProbeNothing for Probe<'_, E> {}

/// The outcome of a failed call.
pub fn failed<E>(intent: Option<Intent>, failed: Unboxed<E>) -> Outcome {
    Outcome::failed(intent, (failed.boxed)(failed.error))
}
