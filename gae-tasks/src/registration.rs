//! The description that generated code gives of each task function, gathered by the linker.

use std::any::TypeId;
use std::collections::BTreeSet;
use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use linkme::distributed_slice;

#[cfg(feature = "cron")]
use crate::cron::{Cron, CronError};
use crate::handler::Run;
use crate::payload::{
    DefaultOf, Parameter, Reading, Readings, Schema, SensitivePaths, Tracer, UnreadableError,
    names_something, sensitive_paths,
};
use crate::queue::TypeBackoff;
use crate::task::Shape;

/// Every task of every crate that is linked into this program.
///
/// The static's name is also the name of a section of the program, which all crates in the program
/// share. It carries the crate's name and version, so that neither a slice of the application nor
/// another version of this crate has the same name.
#[distributed_slice]
pub static GAE_TASKS_REGISTRATIONS_0_1: [Registration];

pub use GAE_TASKS_REGISTRATIONS_0_1 as REGISTRATIONS;

/// Adds a registration to the slice and refers to it.
///
/// A separate macro: if generated code does not find this crate, the call of the macro causes no
/// error beside the one about the missing crate. The attributes in the macro would cause more.
#[doc(hidden)]
#[macro_export]
macro_rules! __register {
    ($registration:expr) => {{
        #[$crate::__private::linkme::distributed_slice($crate::__private::REGISTRATIONS)]
        #[linkme(crate = $crate::__private::linkme)]
        static __REGISTRATION: $crate::__private::Registration = $registration;
        &__REGISTRATION
    }};
}

/// The description that generated code gives of one task function.
pub struct Registration {
    /// The kind that its tasks are deferred as.
    pub kind: &'static str,
    /// Kinds that its tasks had before the function was renamed or moved.
    pub aliases: &'static [&'static str],
    /// The schema of the function's parameters.
    pub traced: Traced,
    /// The parameters that are sent, in their order.
    pub parameters: &'static [Parameter],
    /// What older payloads hold and the function does without: paths such as `transfer.note`.
    pub ignores: &'static [&'static str],
    /// Whose values are never shown, beside the parameters that are marked: paths such as
    /// `card.number`.
    pub sensitive: &'static [&'static str],
    /// The upgrade functions, in the order written.
    pub upgrades: &'static [Upgrade],
    /// What is known about the schemas that its stored payloads have.
    pub readings: Readings,
    /// The queues that its tasks are deferred to; never empty.
    pub queues: &'static [&'static str],
    /// The time one attempt may take; `None` means the default.
    pub deadline: Option<Duration>,
    /// A cap on attempts below the queue's own.
    pub max_attempts: Option<u32>,
    /// The backoff of its tasks, in place of the queue's.
    pub backoff: TypeBackoff,
    /// The priority of its tasks among others of their queue.
    pub priority: i8,
    /// The parameters that each of its calls is unique by, unless the call says otherwise.
    pub unique_by: Option<&'static [&'static str]>,
    /// The defaults of its parameters, if it is unique by some.
    pub defaults: &'static [DefaultOf],
    /// The schedule on which it is deferred by itself.
    pub cron: Option<CronDeclaration>,
    /// The types of state that the function takes.
    pub states: &'static [StateType],
    /// The place of the function in the source.
    pub location: Location,
    /// The path of the module that the function is in, which begins with its crate.
    pub module: &'static str,
    /// The package that it is in, if Cargo built it; otherwise empty.
    pub package: &'static str,
    /// Whether its crate was built as a test.
    pub is_test: bool,
    /// Calls the function.
    pub run: Run,
    /// Reads a payload without calling the function.
    pub trial: Trial,
}

impl fmt::Debug for Registration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Registration")
            .field("kind", &self.kind)
            .field("shape", &self.traced.known())
            .field("queues", &self.queues)
            .field("location", &self.location)
            .finish_non_exhaustive()
    }
}

impl Registration {
    /// The kinds that the function runs: its own and its aliases.
    pub(crate) fn kinds(&self) -> impl Iterator<Item = &'static str> {
        std::iter::once(self.kind).chain(self.aliases.iter().copied())
    }

    /// The schema of its parameters.
    ///
    /// # Errors
    /// The type of a parameter has none.
    #[doc(hidden)]
    pub fn schema(&self) -> Result<&Schema, &UnreadableError> {
        self.traced.schema()
    }

    /// The shape of its parameters.
    ///
    /// # Errors
    /// The type of a parameter has no schema.
    #[doc(hidden)]
    pub fn shape(&self) -> Result<Shape, &UnreadableError> {
        self.traced.shape()
    }

    /// The schema in the form in which it is stored with the tasks, shared by all of them.
    ///
    /// # Errors
    /// The type of a parameter has no schema.
    pub(crate) fn schema_bytes(&self) -> Result<Arc<[u8]>, &UnreadableError> {
        self.traced.get().as_ref().map(|(.., bytes)| Arc::clone(bytes))
    }

    /// The paths of values that are never shown, in the form in which they are stored with the
    /// tasks.
    pub(crate) fn sensitive_paths(&self) -> &SensitivePaths {
        self.traced.paths.get_or_init(|| sensitive_paths(self.parameters, self.sensitive))
    }

    /// What is wrong with the paths of values that are never shown: one names nothing, so a value
    /// that was meant would be shown. A path may begin with a parameter that is no more.
    pub(crate) fn problems_of_sensitive(&self) -> Vec<String> {
        let Ok(schema) = self.schema() else { return Vec::new() };
        let is_of_now = |path: &&&str| {
            let head = path.split('.').next();
            self.parameters.iter().any(|parameter| Some(parameter.name) == head)
        };
        let nothing = self.sensitive.iter().filter(is_of_now);
        let nothing = nothing.filter(|path| !names_something(schema, path));
        let problem = |path: &&str| {
            format!(
                "task `{}` at {}: `sensitive = [\"{path}\"]` names nothing in {schema}, so no \
                 value is hidden: write the names of fields as they are stored",
                self.kind, self.location
            )
        };
        nothing.map(problem).collect()
    }

    /// What is wrong with the upgrade functions: one has no schema, or two have the same, so the
    /// second would never run.
    pub(crate) fn problems_of_upgrades(&self) -> Vec<String> {
        let problem = |(number, upgrade): (usize, &Upgrade)| match upgrade.traced.schema() {
            Err(error) => Some(error.to_string()),
            Ok(schema) => {
                let is_same = |earlier: &&Upgrade| earlier.traced.schema() == Ok(schema);
                let first = self.upgrades[..number].iter().find(is_same)?;
                Some(format!(
                    "its upgrades `{}` and `{}` take the same parameters, {schema}: remove one, or \
                     correct the struct that it takes",
                    first.name, upgrade.name,
                ))
            }
        };
        let problems = self.upgrades.iter().enumerate().filter_map(problem);
        problems.map(|why| format!("task `{}` at {}: {why}", self.kind, self.location)).collect()
    }

    /// What is wrong with the schedule that the compiler does not see: it is not a literal, or the
    /// arguments cannot be stored.
    #[cfg(feature = "cron")]
    pub(crate) fn problems_of_cron(&self) -> Vec<String> {
        let Some(declared) = &self.cron else { return Vec::new() };
        let schedule = declared.cron().err().map(|error| error.to_string());
        let args = (declared.args)().err();
        let args =
            args.map(|error| format!("the arguments of its schedule are not valid: {error}"));
        let problems = schedule.into_iter().chain(args);
        problems.map(|why| format!("task `{}` at {}: {why}", self.kind, self.location)).collect()
    }

    pub(crate) fn is_in_queue(&self, queues: &BTreeSet<&str>) -> bool {
        self.queues.iter().any(|queue| queues.contains(queue))
    }
}

/// A function that makes args of the parameters that a task had before.
#[derive(Debug)]
pub struct Upgrade {
    /// The path of the function, as the attribute has it.
    pub name: &'static str,
    /// The schema of the struct that it takes.
    pub traced: Traced,
}

/// The schedule of a task, as the attribute declares it.
#[derive(Debug)]
pub struct CronDeclaration {
    /// The schedule as written. A literal was checked when the attribute was compiled.
    pub expression: &'static str,
    /// The name of its time zone.
    pub timezone: &'static str,
    /// Encodes the arguments that its tasks have, as a payload of the registration's own schema.
    pub args: fn() -> Result<Vec<u8>, UnreadableError>,
}

impl CronDeclaration {
    /// The schedule in its time zone.
    ///
    /// # Errors
    /// It is not valid, which the compiler could not see because it is not a literal.
    #[cfg(feature = "cron")]
    #[doc(hidden)]
    pub fn cron(&self) -> Result<Cron, CronError> {
        let cron = Cron::parse(self.expression)?;
        if self.timezone == "UTC" { Ok(cron) } else { cron.in_zone(self.timezone) }
    }
}

/// A schema that is traced when it is first asked for: a program may have thousands of tasks, and
/// meet few of them.
pub struct Traced {
    trace: Trace,
    once: OnceLock<Result<Known, UnreadableError>>,
    /// The sensitive paths of the task whose schema this is.
    paths: OnceLock<SensitivePaths>,
}

/// A schema, its shape, and its stored form.
type Known = (Schema, Shape, Arc<[u8]>);

type Trace = fn(&mut Tracer) -> Result<(), UnreadableError>;

impl Traced {
    /// The schema of the parameters that `trace` traces.
    pub const fn new(trace: Trace) -> Self {
        Self { trace, once: OnceLock::new(), paths: OnceLock::new() }
    }

    /// The schema.
    ///
    /// # Errors
    /// A type has none.
    pub fn schema(&self) -> Result<&Schema, &UnreadableError> {
        self.get().as_ref().map(|(schema, ..)| schema)
    }

    /// The shape.
    ///
    /// # Errors
    /// A type has no schema.
    pub fn shape(&self) -> Result<Shape, &UnreadableError> {
        self.get().as_ref().map(|(_, shape, _)| *shape)
    }

    fn get(&self) -> &Result<Known, UnreadableError> {
        self.once.get_or_init(|| {
            let schema = Tracer::schema(self.trace)?;
            let shape = schema.shape();
            let bytes = schema.as_bytes().into();
            Ok((schema, shape, bytes))
        })
    }

    /// The shape, if it was asked for before.
    pub(crate) fn known(&self) -> Option<Shape> {
        self.once.get()?.as_ref().ok().map(|(_, shape, _)| *shape)
    }
}

impl fmt::Debug for Traced {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Traced").field(&self.known()).finish()
    }
}

/// Reads a payload as the args of a function, and drops them.
#[derive(Debug)]
pub struct Trial(pub(crate) fn(&[u8], &Reading) -> Result<(), UnreadableError>);

/// The type of a `#[state]` parameter.
#[derive(Debug)]
pub struct StateType {
    /// The type's id.
    pub id: fn() -> TypeId,
    /// The type's name, for errors.
    pub name: fn() -> &'static str,
}

impl StateType {
    /// Describes the state type `S`. `S` is required to be `Send` and `Sync` where the state is
    /// [fetched](crate::handler::Call::state).
    pub const fn of<S: 'static>() -> Self {
        Self { id: TypeId::of::<S>, name: std::any::type_name::<S> }
    }
}

/// A place in the source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Location {
    /// The file, as the compiler names it.
    pub file: &'static str,
    /// The line, from 1.
    pub line: u32,
    /// The column, from 1.
    pub column: u32,
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.file, self.line, self.column)
    }
}

#[cfg(test)]
impl Registration {
    /// The task `shop/send` with the parameter `user_id`, which nobody runs.
    pub(crate) const fn for_test() -> Self {
        const fn refuse(
            _: &crate::handler::Call<'_>,
        ) -> Result<crate::handler::Work, crate::handler::CallError> {
            Err(crate::handler::CallError::MissingState("nobody runs it"))
        }
        Self {
            kind: "shop/send",
            aliases: &[],
            traced: Traced::new(|tracer| tracer.parameter::<u64>("user_id")),
            parameters: const { &[Parameter::new("user_id")] },
            ignores: &[],
            sensitive: &[],
            upgrades: &[],
            readings: Readings::new(),
            queues: &["default"],
            deadline: None,
            max_attempts: None,
            backoff: TypeBackoff::NONE,
            priority: 0,
            unique_by: None,
            defaults: &[],
            cron: None,
            states: &[],
            location: Location { file: "shop.rs", line: 1, column: 1 },
            module: "shop",
            package: "shop",
            is_test: true,
            run: refuse,
            trial: Trial(|_, _| Ok(())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(feature = "cron")]
    #[test]
    fn a_schedule_that_the_compiler_did_not_see_is_a_problem() {
        let declared = |expression, timezone| Registration {
            cron: Some(CronDeclaration { expression, timezone, args: || Ok(Vec::new()) }),
            ..Registration::for_test()
        };
        assert_eq!(declared("@daily", "Europe/Paris").problems_of_cron(), [""; 0]);
        let zone = declared("@daily", "Europe/Pariss").problems_of_cron();
        assert!(zone[0].starts_with("task `shop/send` at shop.rs:1:1: the schedule"), "{zone:?}");
        assert!(zone[0].contains("did you mean `Europe/Paris`?"), "{zone:?}");
        assert!(declared("@reboot", "UTC").problems_of_cron()[0].contains("`@reboot`"));
        // A zone that stands in the expression counts.
        let own = declared("0 9 * * * (Europe/Paris)", "UTC").cron.unwrap().cron();
        assert_eq!(own.unwrap().zone(), "Europe/Paris");
    }

    #[test]
    fn all_tasks_share_one_stored_schema() {
        let traced = Traced::new(|tracer| tracer.parameter::<u64>("user_id"));
        let bytes = || Arc::clone(&traced.get().as_ref().unwrap().2);
        assert!(Arc::ptr_eq(&bytes(), &bytes()));
        assert_eq!(Shape::of_schema(&bytes()), traced.known().unwrap());
    }
}
