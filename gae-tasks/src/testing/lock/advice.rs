//! What to do about a change: its class, and a text with what is to be pasted.

use super::change::{Change, Gets, Place, What};

/// What a change means for the tasks that wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Class {
    /// They run as they would have.
    Compatible,
    /// They do once the function, or a type of a parameter, has an attribute.
    NeedsAttribute,
    /// They may run with another meaning.
    ChangesMeaning,
    /// They cannot run.
    Strands,
}

impl Class {
    /// The words that messages begin with.
    pub(super) fn words(self) -> &'static str {
        match self {
            Self::Compatible => "compatible",
            Self::NeedsAttribute => "needs an attribute",
            Self::ChangesMeaning => "changes the meaning",
            Self::Strands => "strands",
        }
    }
}

/// What an assert says about one kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Finding {
    pub(super) kind: String,
    pub(super) class: Class,
    /// Whether a write takes it as answered.
    pub(super) is_written: bool,
    pub(super) text: String,
    /// Another kind that it is about: a write that leaves the one as it is leaves both.
    pub(super) beside: Option<String>,
}

/// The finding of a change of the task `kind`.
pub(super) fn finding(kind: &str, change: &Change) -> Finding {
    let (class, is_written, text) = match &change.what {
        What::Gone => gone(change),
        What::New { ty, gets, .. } => new(change, ty, *gets),
        What::Renamed { to, ty, is_alike: true } => {
            (Class::NeedsAttribute, false, called(change, to, ty))
        }
        What::Renamed { to, ty, is_alike: false } => {
            (Class::ChangesMeaning, false, renamed(change, to, ty))
        }
        What::Reordered { was, is } => (Class::ChangesMeaning, true, reordered(change, was, is)),
        What::Retyped { was, is } => {
            let text = format!("{}: was `{was}`, is `{is}`. {}", place(change), KEEP);
            (Class::Strands, false, text)
        }
        What::Narrowed { was, is, fails } => {
            let text = format!("{}: was `{was}`, is `{is}`: {fails}", place(change));
            (Class::Compatible, true, text)
        }
        What::Ambiguous => {
            let text = format!("`{}` is a name of more than one: give each its own", change.path);
            (Class::Strands, false, text)
        }
        What::Unreadable(why) => (Class::Strands, false, format!("{why}. {KEEP}")),
    };
    Finding { kind: kind.to_owned(), class, is_written, text, beside: None }
}

/// What to do where no attribute helps.
const KEEP: &str = "\
    Tasks that wait cannot be read. Keep the old function under its kind, and give the new one \
    another name; or convert the old parameters with `upgrade = ..`; or deploy when none waits any \
    more, and delete the old schema from tasks.lock";

/// The member in question: parameter `note`, field `transfer.note`.
fn place(change: &Change) -> String {
    let sort = match change.place {
        Place::Parameter => "parameter",
        Place::Field => "field",
        Place::Variant => "variant",
    };
    format!("{sort} `{}`", change.path)
}

/// The attribute that makes an old name known.
fn alias(change: &Change, to: &str, ty: &str) -> String {
    let name = &change.name;
    match change.place {
        Place::Parameter => format!("write `#[alias(\"{name}\")] {}`", parameter(to, ty)),
        Place::Field => format!("write `#[serde(alias = \"{name}\")]` on the field `{to}`"),
        Place::Variant => format!("write `#[serde(alias = \"{name}\")]` on the variant `{to}`"),
    }
}

/// A parameter as it is written in the function.
fn parameter(name: &str, ty: &str) -> String {
    match name {
        // The receiver of a method.
        "self" => name.to_owned(),
        _ => format!("{name}: {ty}"),
    }
}

fn gone(change: &Change) -> (Class, bool, String) {
    let (place, path) = (place(change), &change.ignores);
    if change.place == Place::Variant {
        let text = format!(
            "{place} is gone: tasks that hold it wait until a program has it again. Keep it until \
             none does; if none does, GAE_TASKS_LOCK=write confirms the change"
        );
        return (Class::Strands, true, text);
    }
    let text = format!(
        "{place} is gone, and a task is not run without a value that it was given. If tasks that \
         wait can do without it, write `ignores = [\"{path}\"]` in the attribute"
    );
    (Class::NeedsAttribute, false, text)
}

fn new(change: &Change, ty: &str, gets: Gets) -> (Class, bool, String) {
    let (place, name) = (place(change), &change.name);
    let lacks = format!("{place} is new, and tasks that wait have no value for it: write");
    match (change.place, gets) {
        (_, Gets::Default | Gets::None) => {
            let text = format!("{place} is new: tasks that wait get its default, or `None`");
            (Class::Compatible, true, text)
        }
        (Place::Parameter, _) => {
            let parameter = parameter(name, ty);
            let text = format!(
                "{lacks} `#[default] {parameter}`, or a value, `#[default(..)] {parameter}`, or \
                 make it an `Option`"
            );
            (Class::NeedsAttribute, false, text)
        }
        (_, Gets::Nothing) => {
            let text = format!("{lacks} `#[serde(default)]` on it");
            (Class::NeedsAttribute, false, text)
        }
        (_, Gets::Unknown) => {
            let text = format!(
                "{lacks} `#[serde(default)]` on it. If it has that, or the struct does, which a \
                 schema does not show, GAE_TASKS_LOCK=write confirms the change"
            );
            (Class::NeedsAttribute, true, text)
        }
    }
}

/// A name that is much like the old one may be new because the meaning is: `timeout_ms`.
fn called(change: &Change, to: &str, ty: &str) -> String {
    let (place, alias) = (place(change), alias(change, to, ty));
    let otherwise = match change.place {
        Place::Variant => "keep the old one until no task that waits holds it",
        _ => "tasks that wait would be misread: convert them with `upgrade = ..`",
    };
    format!(
        "{place} seems to be called `{to}` now: {alias}. If it means something else, such as \
         another unit, {otherwise}"
    )
}

fn renamed(change: &Change, to: &str, ty: &str) -> String {
    let (place, alias) = (place(change), alias(change, to, ty));
    let otherwise = match change.place {
        Place::Parameter => format!(
            "If it is another value, no task that waits has it: write `ignores = [\"{}\"]` and \
             `#[default(..)] {}`, or convert with `upgrade = ..`",
            change.ignores,
            parameter(to, ty)
        ),
        Place::Field => format!(
            "If it is another value, no task that waits has it: write `ignores = [\"{}\"]` and \
             `#[serde(default)]` on the field `{to}`, or convert with `upgrade = ..`",
            change.ignores
        ),
        Place::Variant => format!(
            "If it is another case, keep `{}` until no task that waits holds it, and then delete \
             the old schema from tasks.lock",
            change.name
        ),
    };
    format!(
        "{place} has given way to `{to}`. If that is another name for the same, {alias}. \
         {otherwise}"
    )
}

fn reordered(change: &Change, was: &[String], is: &[String]) -> String {
    let sort = match change.place {
        Place::Parameter => "parameters".to_owned(),
        _ if change.path.is_empty() => "fields of the struct that it takes".to_owned(),
        _ => format!("fields of `{}`", change.path),
    };
    let first = &was[0];
    let (was, is) = (was.join(", "), is.join(", "));
    format!(
        "{sort} of one type have changed places: `{was}` are now `{is}`. Tasks that wait are read \
         by name: what they have as `{first}` stays `{first}`. If only the order has changed, \
         GAE_TASKS_LOCK=write confirms the change. If the names were exchanged, the tasks would \
         mean the opposite: choose new names and give each its old one as an alias"
    )
}
