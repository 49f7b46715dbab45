//! One difference between the schema of waiting tasks and the function that reads them.

/// What changed at a place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Change {
    pub(super) place: Place,
    /// Where it is: `transfer.note`, `orders[].note`. For [`What::Reordered`] the struct; empty for
    /// the parameters themselves, and for the struct of an upgrade.
    pub(super) path: String,
    /// The last name of the path.
    pub(super) name: String,
    /// What `ignores` calls it.
    pub(super) ignores: String,
    pub(super) what: What,
}

/// What a name stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    Parameter,
    Field,
    Variant,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum What {
    /// Waiting tasks have it and the function does not.
    Gone,
    /// The function has it and waiting tasks do not.
    New { ty: String, gets: Gets, site: Site },
    /// Another name stands for the same type.
    Renamed { to: String, ty: String, is_alike: bool },
    /// Members of one type stand in another order.
    Reordered { was: Vec<String>, is: Vec<String> },
    /// Another type, which waiting values are not read into.
    Retyped { was: String, is: String },
    /// Another type, into which some waiting values fit.
    Narrowed { was: String, is: String, fails: &'static str },
    /// A name of more than one.
    Ambiguous,
    /// Anything else that keeps waiting tasks from being read.
    Unreadable(String),
}

/// What a waiting task gets where it has no value for something new.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Gets {
    Default,
    /// `None`, unless the type reads options in its own way.
    None,
    /// Nothing: it cannot be read.
    Nothing,
    /// Its default if it has a `#[serde(default)]`, which no schema shows.
    Unknown,
}

/// Where something is new: in the payload, and in errors about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Site {
    /// Which child to take of each of the writer's types, to the one that lacks it.
    pub(super) way: Vec<usize>,
    /// The paths that it has in errors, one for each of its names.
    pub(super) paths: Vec<String>,
}

impl Change {
    /// Whether no waiting task can be read at all, whatever its values are.
    pub(super) fn refuses(&self) -> bool {
        match &self.what {
            What::Retyped { .. } | What::Ambiguous | What::Unreadable(_) => true,
            What::Gone | What::Renamed { .. } => self.place != Place::Variant,
            What::New { gets, .. } => *gets == Gets::Nothing && self.place == Place::Parameter,
            What::Reordered { .. } | What::Narrowed { .. } => false,
        }
    }

    /// Whether waiting tasks that have what is changed cannot be read.
    pub(super) fn fails(&self) -> bool {
        self.refuses() || matches!(self.what, What::New { gets: Gets::Nothing, .. })
    }

    /// Whether it is a new member that errors call `path`.
    pub(super) fn is_new_at(&self, path: &str) -> bool {
        matches!(&self.what, What::New { site, .. } if site.paths.iter().any(|one| one == path))
    }

    pub(super) fn is_new(&self) -> bool {
        matches!(self.what, What::New { .. })
    }
}
