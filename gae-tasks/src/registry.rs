//! The handlers by route: looked up in constant time, verified as a whole.

pub(crate) mod explain;
pub(crate) mod readable;

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, OnceLock};

use self::explain::{advice, duplicate, explain_shape, no_schema, without_crate};
use crate::context::States;
use crate::error::{Error, no_problems};
use crate::payload::Schema;
use crate::registration::{REGISTRATIONS, Registration, StateType};
use crate::routed::Routed;
use crate::task::Shape;
use crate::task_type::Task;

/// How many of the tasks that a consumer meets are traced when it is built. A program with more of
/// them starts as quickly: each of the others is traced when it is first deferred or found stored.
const TRACED_AT_ONCE: usize = 256;

/// The set of tasks that a program can run.
///
/// A client has [all linked](Registry::linked) tasks unless its builder is given another registry.
///
/// ```
/// use gae_tasks::{Registry, deferred};
///
/// #[deferred(queue = "emails")]
/// async fn send_welcome(user_id: u64) {}
///
/// let chosen = Registry::new().with::<send_welcome>();
/// assert_eq!(chosen.kinds().count(), 1);
/// assert_eq!(Registry::linked().in_queues(["unused"]).kinds().count(), 0);
/// ```
#[derive(Debug, Clone, Default)]
pub struct Registry {
    registrations: Vec<&'static Registration>,
    /// Tasks that a worker does not run because it lacks the state that they need.
    withheld: Vec<&'static Registration>,
    lookup: OnceLock<Arc<HashMap<&'static str, &'static Registration>>>,
}

impl Registry {
    /// Creates an empty registry, to be filled by [`with`](Self::with).
    pub fn new() -> Self {
        Self::default()
    }

    /// Returns every task of every crate that is linked into this program.
    pub fn linked() -> Self {
        Self::of(REGISTRATIONS.iter().collect())
    }

    /// Adds the task `T`.
    pub fn with<T: Task>(mut self) -> Self {
        let added = T::registration();
        if !self.registrations.iter().any(|registration| std::ptr::eq(*registration, added)) {
            self.registrations.push(added);
        }
        Self::of(self.registrations)
    }

    /// Keeps only the tasks that are deferred to one of `queues`.
    pub fn in_queues<'a>(self, queues: impl IntoIterator<Item = &'a str>) -> Self {
        let queues = queues.into_iter().collect();
        self.only(|registration| registration.is_in_queue(&queues))
    }

    /// Keeps only the tasks of `kinds`.
    pub fn of_kinds<'a>(self, kinds: impl IntoIterator<Item = &'a str>) -> Self {
        let kinds: BTreeSet<_> = kinds.into_iter().collect();
        self.only(|registration| kinds.contains(registration.kind))
    }

    /// The kinds of these tasks, without aliases.
    pub fn kinds(&self) -> impl Iterator<Item = &'static str> {
        self.registrations.iter().map(|registration| registration.kind)
    }

    fn of(registrations: Vec<&'static Registration>) -> Self {
        Self { registrations, withheld: Vec::new(), lookup: OnceLock::new() }
    }

    /// Withholds the registrations for which `withheld` is true: their tasks wait, and reports
    /// about them give the reason.
    pub(crate) fn withholding(&self, withheld: impl Fn(&Registration) -> bool) -> Self {
        let (withheld, kept) =
            self.registrations.iter().partition(|registration| withheld(registration));
        Self { withheld, ..Self::of(kept) }
    }

    fn only(self, keep: impl Fn(&Registration) -> bool) -> Self {
        Self::of(self.registrations.into_iter().filter(|registration| keep(registration)).collect())
    }

    pub(crate) fn registrations(&self) -> &[&'static Registration] {
        &self.registrations
    }

    /// The task that runs tasks of `kind` and `shape`, and how it reads them; `schema` is what is
    /// stored for the shape.
    pub(crate) fn find(&self, kind: &str, shape: Shape, schema: Option<&[u8]>) -> Option<Routed> {
        let registration = self.by_kind(kind)?;
        let reading = registration.reading(shape, schema).ok()?;
        Some(Routed { registration, reading })
    }

    /// Whether a task runs tasks of `kind` and `shape`, as far as the shape is known: what a
    /// worker asks before it leases, so that a benchmark can measure it.
    #[cfg(feature = "testing")]
    #[doc(hidden)]
    pub fn runs(&self, kind: &str, shape: Shape) -> bool {
        self.find(kind, shape, None).is_some()
    }

    /// The task of `kind`, whatever the shape of its payload.
    pub(crate) fn by_kind(&self, kind: &str) -> Option<&'static Registration> {
        self.lookup().get(kind).copied()
    }

    fn lookup(&self) -> &HashMap<&'static str, &'static Registration> {
        self.lookup.get_or_init(|| {
            let entries =
                self.registrations.iter().flat_map(|r| r.kinds().map(move |kind| (kind, *r)));
            Arc::new(entries.collect())
        })
    }

    /// The schema of each of these tasks with its kind, for a test that traces all of them at once.
    ///
    /// A program traces a task when it is first deferred or met.
    ///
    /// # Errors
    /// [`Error::Misconfigured`] with every task that has no schema: parameter, path and fix; and
    /// with every upgrade function that has none, or the same as another of its task.
    ///
    /// ```
    /// use gae_tasks::{Registry, deferred};
    ///
    /// #[deferred]
    /// async fn send_welcome(user_id: u64, tags: Vec<String>) {}
    ///
    /// # fn main() -> Result<(), gae_tasks::Error> {
    /// let schemas = Registry::new().with::<send_welcome>().schemas()?;
    /// assert_eq!(schemas[0].1.to_string(), "(user_id: u64, tags: Vec<String>)");
    /// # Ok(())
    /// # }
    /// ```
    pub fn schemas(&self) -> Result<Vec<(&'static str, &'static Schema)>, Error> {
        no_problems(self.registrations.iter().flat_map(|one| problems_of_schemas(one)).collect())?;
        let schemas = self.registrations.iter().filter_map(|registration| {
            registration.schema().ok().map(|schema| (registration.kind, schema))
        });
        Ok(schemas.collect())
    }

    /// Every problem that keeps a task from being run with `states`, among the tasks that a
    /// consumer `meets`.
    pub(crate) fn problems(
        &self,
        states: &States,
        meets: &dyn Fn(&Registration) -> bool,
    ) -> Vec<String> {
        let mut problems = Vec::new();
        if self.registrations.is_empty() {
            problems.push(
                "no task is registered: annotate functions with `#[deferred]`, and name the crates \
                 that contain them with `gae_tasks::link!(..)`, or the linker leaves them out"
                    .to_owned(),
            );
        }
        problems.extend(self.duplicates(meets));
        let met = || self.registrations.iter().filter(|registration| meets(registration));
        // The attributes for older payloads are checked for any number of tasks: a mistake there is
        // not found when a task is deferred.
        let checked = met()
            .enumerate()
            .filter(|(number, one)| *number < TRACED_AT_ONCE || speaks_of_parts(one));
        problems.extend(checked.flat_map(|(_, one)| problems_of_schemas(one)));
        #[cfg(feature = "cron")]
        problems.extend(met().flat_map(|one| one.problems_of_cron()));
        problems.extend(met().flat_map(|one| self.missing_states(one, states)));
        problems
    }

    fn duplicates(&self, meets: &dyn Fn(&Registration) -> bool) -> Vec<String> {
        let mut first: HashMap<&str, &Registration> = HashMap::new();
        let mut problems = Vec::new();
        for registration in &self.registrations {
            for kind in registration.kinds() {
                match first.get(kind) {
                    None => _ = first.insert(kind, registration),
                    Some(other) if meets(other) || meets(registration) => {
                        problems.push(duplicate(kind, other, registration));
                    }
                    Some(_) => {}
                }
            }
        }
        problems
    }

    /// Every problem that keeps one task from being run with `states`.
    pub(crate) fn problems_of(&self, registration: &Registration, states: &States) -> Vec<String> {
        let mut problems = self.missing_states(registration, states);
        problems.extend(problems_of_schemas(registration));
        problems
    }

    /// The types of state that one task takes and `states` lacks, each as a problem.
    pub(crate) fn missing_states(
        &self,
        registration: &Registration,
        states: &States,
    ) -> Vec<String> {
        let missing = registration.states.iter().filter(|state| !states.has((state.id)()));
        let problem = |state: &StateType| {
            let (wanted, given) = ((state.name)(), states.type_names());
            let there = match &*given {
                [] => "the client has no state".to_owned(),
                names => format!("the client has {}", names.join(", ")),
            };
            format!(
                "task `{}` at {} takes state of type `{wanted}`, which the client does not have \
                 ({there}): {}",
                registration.kind,
                registration.location,
                advice(wanted, &given),
            )
        };
        missing.map(problem).collect()
    }

    /// Explains why a task of `kind` and `shape` has no handler here, and suggests a fix; `schema`
    /// is what is stored for the shape.
    pub(crate) fn explain_unroutable(
        &self,
        kind: &str,
        shape: Shape,
        schema: Option<&[u8]>,
    ) -> String {
        if let Some(registration) = self.by_kind(kind) {
            return explain_shape(registration, kind, shape, schema);
        }
        if let Some(registration) =
            self.withheld.iter().find(|registration| registration.kinds().any(|k| k == kind))
        {
            return format!(
                "task `{kind}` at {} takes state that the client of this worker does not have, and \
                 its own queues are not among those that the worker serves: add `.state(..)` to \
                 the client's builder",
                registration.location
            );
        }
        let moved = self.kinds().find(|known| without_crate(known) == without_crate(kind));
        let hint = match moved {
            Some(known) => {
                format!(
                    "; `{known}` may be the same function in another crate: add `alias = \
                     [\"{kind}\"]` to it"
                )
            }
            None => format!(
                "; if its function was renamed or moved, add `alias = [\"{kind}\"]` to it; if its \
                 crate is a dependency, name it with `gae_tasks::link!(..)`, or the linker leaves \
                 it out"
            ),
        };
        format!("no task of kind `{kind}` is registered in this program{hint}")
    }
}

/// Whether the attribute names older structs or parts of parameters.
fn speaks_of_parts(registration: &Registration) -> bool {
    !registration.upgrades.is_empty() || !registration.sensitive.is_empty()
}

/// Every problem of the schemas of a task and of its upgrades.
fn problems_of_schemas(registration: &Registration) -> Vec<String> {
    let schema = no_schema(registration).into_iter();
    schema
        .chain(registration.problems_of_upgrades())
        .chain(registration.problems_of_sensitive())
        .collect()
}

#[doc = include_str!("docs/linking.md")]
#[macro_export]
macro_rules! link {
    ($($krate:ident),+ $(,)?) => {
        $(use ::$krate as _;)+
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    static TASK: Registration = Registration::for_test();

    #[test]
    fn a_shape_that_is_not_the_functions_is_explained() {
        let (registry, own) = (Registry::of(vec![&TASK]), TASK.shape().unwrap());
        assert!(registry.find("shop/send", own, None).is_some());
        let old = Shape::from_bits(7);
        assert!(registry.find("shop/send", old, None).is_none());
        let text = registry.explain_unroutable("shop/send", old, None);
        assert!(text.contains("development version") && text.contains("defer the task"), "{text}");
        let text = registry.explain_unroutable("shop/send", Shape::from_bits(7 | 1 << 56), None);
        assert!(text.contains("is not stored"), "{text}");
    }

    #[test]
    fn a_schema_of_a_newer_algorithm_waits_for_an_update_and_is_not_called_damaged() {
        let (registry, newer) = (Registry::of(vec![&TASK]), Shape::from_bits(2 << 56));
        for schema in [None, Some(&b"what nobody here can read"[..])] {
            assert!(registry.find("shop/send", newer, schema).is_none());
            let text = registry.explain_unroutable("shop/send", newer, schema);
            assert!(text.contains("a newer version of gae-tasks"), "{text}");
            assert!(text.contains("update") && !text.contains("damaged"), "{text}");
        }
    }

    #[test]
    fn a_consumer_of_many_tasks_traces_only_the_first() {
        let of = |_| &*Box::leak(Box::new(Registration::for_test()));
        let registrations: Vec<&'static Registration> = (0..1_000).map(of).collect();
        let registry = Registry::of(registrations.clone());
        registry.problems(&States::default(), &|_| true);
        let traced = |one: &&&Registration| one.traced.known().is_some();
        assert_eq!(registrations.iter().filter(traced).count(), TRACED_AT_ONCE);
    }

    #[cfg(feature = "cron")]
    #[test]
    fn a_schedule_that_is_not_valid_is_found_however_many_tasks_come_before() {
        use crate::payload::UnreadableError;
        use crate::registration::CronDeclaration;
        let mut registrations = vec![&TASK; TRACED_AT_ONCE];
        let declared = CronDeclaration {
            expression: "0 25 * * *",
            timezone: "UTC",
            args: || Err(UnreadableError::of_payload("cannot be stored")),
        };
        let mistaken = Registration {
            kind: "shop/mistaken",
            cron: Some(declared),
            ..Registration::for_test()
        };
        registrations.push(Box::leak(Box::new(mistaken)));
        let problems = Registry::of(registrations).problems(&States::default(), &|_| true);
        for wrong in ["`25` is not a valid hour", "the arguments of its schedule are not valid"] {
            assert!(problems.iter().any(|problem| problem.contains(wrong)), "{problems:?}");
        }
    }

    #[test]
    fn a_path_that_names_nothing_is_found_however_many_tasks_come_before() {
        let mut registrations = vec![&TASK; TRACED_AT_ONCE];
        let mistaken = Registration {
            kind: "shop/mistaken",
            sensitive: &["user_id.pin"],
            ..Registration::for_test()
        };
        registrations.push(Box::leak(Box::new(mistaken)));
        let problems = Registry::of(registrations).problems(&States::default(), &|_| true);
        assert!(problems.iter().any(|problem| problem.contains("user_id.pin")), "{problems:?}");
    }
}
