//! Where this crate and JSON differ by design: each exception with the rule that makes it one.

use crate::edit::Edit::{self, *};
use crate::pair::Outcome;

/// JSON reads a value, and here it waits.
pub(crate) struct Stricter {
    pub(crate) rule: &'static str,
    /// One of these edits was made ..
    edits: &'static [Edit],
    /// .. and one of these is said.
    words: &'static [&'static str],
}

pub(crate) const STRICTER: &[Stricter] = &[
    Stricter {
        rule: "what is not known here is never dropped without `ignores`",
        edits: &[FieldRemoved, FieldRenamed, FieldRenamedWithDefault],
        words: &["is not known here: add `"],
    },
    Stricter {
        rule: "no number becomes one of a type that would lose digits",
        edits: &[IntegerToFloat, DoubleToSingle],
        words: &[", is an f32", ", is an f64"],
    },
    Stricter {
        rule: "a struct is read from a struct, not from a tuple or a map, nor the other way round",
        edits: &[TupleToStruct, MapToStruct, StructToMap],
        words: &[", is a struct", ": was a struct, is a map"],
    },
    Stricter {
        rule: "a variant is no text",
        edits: &[TextToVariant, VariantToText],
        words: &["was a String, is an enum", "was an enum, is a String"],
    },
    Stricter {
        rule: "`()` is neither `None` nor `Some`",
        edits: &[UnitToOption, OptionVariantToUnit],
        words: &["was a (), is an Option", "is a ()"],
    },
    Stricter {
        rule: "a variant without content, `#[serde(other)]` too, takes none, not even `None`",
        edits: &[OptionVariantToUnit, OtherAdded, OtherKept],
        words: &["holds no value (`None`), and its type needs one"],
    },
    Stricter {
        rule: "types that never agree are refused before a value is seen",
        edits: &[
            FieldNamesSwapped,
            UnitVariantToNewtype,
            NewtypeVariantToUnit,
            OptionVariantToUnit,
            NewtypeVariantToTuple,
            TupleVariantToStruct,
            StructVariantToTuple,
            IntegerToFloat,
            DoubleToSingle,
            FloatToInteger,
            BoolAndInteger,
            NumberAndText,
            OneToSequence,
            SequenceToOne,
            TupleToStruct,
            StructToTuple,
            TupleExtended,
            TupleShortened,
            ArrayExtended,
            MapToStruct,
            StructToMap,
            PairsToMap,
            TextToVariant,
            VariantToText,
            StructToEnum,
            UnitToOption,
        ],
        words: &["`: was a"],
    },
];

impl Stricter {
    pub(crate) fn covers(&self, edits: &[Edit], said: &str) -> bool {
        self.edits.iter().any(|edit| edits.contains(edit))
            && self.words.iter().any(|words| said.contains(words))
    }
}

/// A value is read here, and JSON refuses it, or reads another.
pub(crate) struct Looser {
    pub(crate) rule: &'static str,
    covers: fn(&[Edit], &Outcome) -> bool,
}

pub(crate) const LOOSER: &[Looser] = &[
    Looser {
        rule: "NaN and infinities are null in JSON",
        covers: |_, outcome| outcome.written.unsaid.is_infinite,
    },
    Looser {
        rule: "JSON's integers have at most 64 bits",
        covers: |_, outcome| outcome.written.unsaid.is_wide,
    },
    Looser {
        rule: "an option of nothing is null in JSON, as is one that is empty",
        covers: |_, outcome| outcome.written.unsaid.is_nothing,
    },
    Looser {
        rule: "what its writer gave two names may be called by either",
        covers: |edits, _| {
            edits.contains(&FieldRenamedToAlias) || edits.contains(&VariantRenamedToAlias)
        },
    },
];

impl Looser {
    pub(crate) fn covers(&self, edits: &[Edit], outcome: &Outcome) -> bool {
        (self.covers)(edits, outcome)
    }
}
