//! One difference between the schema of waiting tasks and the function that reads them.

/// What changed at a place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Change {
    pub(super) place: Place,
    /// The names that lead there: `transfer.note`. For [`What::Reordered`] those that lead to the
    /// struct; empty for the parameters themselves.
    pub(super) path: String,
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
    New { ty: String, is_needed: bool },
    /// Another name stands for the same type.
    Renamed { to: String, ty: String, is_alike: bool },
    /// Members of one type stand in another order.
    Reordered { was: Vec<String>, is: Vec<String> },
    /// Another type, which waiting values are not read into.
    Retyped { was: String, is: String },
    /// Another type, into which some waiting values fit.
    Narrowed { was: String, is: String, fails: &'static str },
}

impl Change {
    /// Whether no waiting task can be read at all, whatever its values are.
    pub(super) fn refuses(&self) -> bool {
        match &self.what {
            What::Retyped { .. } => true,
            What::Gone | What::Renamed { .. } => self.place != Place::Variant,
            // Whether a field has a `#[serde(default)]` is no part of a schema.
            What::New { is_needed, .. } => *is_needed && self.place == Place::Parameter,
            What::Reordered { .. } | What::Narrowed { .. } => false,
        }
    }
}
