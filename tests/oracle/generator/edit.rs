//! What a programmer does to a type between two versions of a program.

macro_rules! edits {
    ($(#[$doc:meta] $name:ident)*) => {
        /// An edit of a type.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(crate) enum Edit {
            $(#[$doc] $name),*
        }

        impl Edit {
            /// All edits, in the order in which pairs are made.
            #[allow(dead_code, reason = "the tests have the list that was made from it")]
            pub(crate) const ALL: &[Self] = &[$(Self::$name),*];
        }
    };
}

edits! {
    // Of the fields of a struct.
    /// Fields stand in another order.
    FieldsReordered
    /// Two fields of one type change places.
    FieldsSwapped
    /// Two fields change their names, and keep their types.
    FieldNamesSwapped
    /// A field has another name.
    FieldRenamed
    /// A field has another name and a default.
    FieldRenamedWithDefault
    /// A field has another name, and the old one as an alias.
    FieldRenamedWithAlias
    /// A field has another name in Rust, and keeps the old one by `rename`.
    FieldRenamedInRust
    /// A field has what was its alias for a name.
    FieldRenamedToAlias
    /// A field no longer has an alias.
    AliasRemoved
    /// There is a field more, which must be there.
    FieldAdded
    /// There is a field more, which is an option.
    OptionFieldAdded
    /// There is a field more, which has a default.
    DefaultFieldAdded
    /// There is a field less.
    FieldRemoved
    /// A field has a default.
    DefaultAdded

    // Of the variants of an enum.
    /// There is a variant more, after the others.
    VariantAdded
    /// There is a variant more, before the last.
    VariantInserted
    /// There is a variant less.
    VariantRemoved
    /// Variants stand in another order.
    VariantsReordered
    /// Two variants change their names, and keep their contents.
    VariantNamesSwapped
    /// A variant has another name.
    VariantRenamed
    /// A variant has another name, and the old one as an alias.
    VariantRenamedWithAlias
    /// A variant has another name in Rust, and keeps the old one by `rename`.
    VariantRenamedInRust
    /// A variant has what was its alias for a name.
    VariantRenamedToAlias
    /// Two variants of one content become one, which has the names of both as aliases.
    VariantsMerged
    /// A variant is replaced by one that takes all that are unknown (`#[serde(other)]`).
    OtherAdded
    /// There is one variant that takes all that are unknown, before and after, and another is gone.
    OtherKept
    /// A variant without content has one.
    UnitVariantToNewtype
    /// A variant no longer has a content.
    NewtypeVariantToUnit
    /// A variant no longer has a content, which was an option.
    OptionVariantToUnit
    /// A variant has two contents in place of one.
    NewtypeVariantToTuple
    /// The parts of a variant get names.
    TupleVariantToStruct
    /// The parts of a variant lose their names.
    StructVariantToTuple
    /// The parts of a variant become a tuple.
    TupleVariantToNewtype
    /// The fields of a variant become a struct.
    StructVariantToNewtype

    // Of numbers and other types without parts.
    /// An integer gets a type that has all its numbers.
    Widened
    /// An integer gets a type that has fewer numbers.
    Narrowed
    /// An integer gets or loses a sign, and keeps its width.
    SignChanged
    /// An integer becomes a floating-point number, exactly.
    IntegerToExactFloat
    /// An integer becomes a floating-point number that does not have all of its numbers.
    IntegerToFloat
    /// `f32` becomes `f64`.
    SingleToDouble
    /// `f64` becomes `f32`.
    DoubleToSingle
    /// A floating-point number becomes an integer.
    FloatToInteger
    /// `bool` becomes an integer, or the other way round.
    BoolAndInteger
    /// A number becomes a text, or the other way round.
    NumberAndText
    /// `char` becomes `String`.
    CharToText
    /// `String` becomes `char`.
    TextToChar

    // Of what is around a type.
    /// `T` becomes `Option<T>`.
    OptionAdded
    /// `Option<T>` becomes `T`.
    OptionRemoved
    /// `Option<T>` becomes `Option<Option<T>>`.
    OptionDoubled
    /// `Option<Option<T>>` becomes `Option<T>`.
    OptionUndoubled
    /// `()` becomes an option.
    UnitToOption
    /// `T` becomes `Box<T>`.
    Boxed
    /// `Box<T>` becomes `T`.
    Unboxed
    /// `T` becomes a newtype of it.
    NewtypeAdded
    /// A newtype becomes what it wraps.
    NewtypeRemoved
    /// The type of a field becomes a parameter of the struct.
    MadeGeneric
    /// `T` becomes `Vec<T>`.
    OneToSequence
    /// `Vec<T>` becomes `T`.
    SequenceToOne

    // Of types with parts.
    /// A tuple becomes a struct.
    TupleToStruct
    /// A struct becomes a tuple.
    StructToTuple
    /// A tuple becomes a tuple struct.
    TupleToTupleStruct
    /// A tuple struct becomes a tuple.
    TupleStructToTuple
    /// A tuple has an element more.
    TupleExtended
    /// A tuple has an element less.
    TupleShortened
    /// A tuple of one type becomes an array.
    TupleToArray
    /// An array has an element more.
    ArrayExtended
    /// An array becomes a sequence.
    ArrayToSequence
    /// A sequence becomes an array.
    SequenceToArray
    /// A sequence becomes a tuple.
    SequenceToTuple
    /// The keys of a map get a wider type.
    KeysWidened
    /// The keys of a map get a narrower type.
    KeysNarrowed
    /// The keys of a map were integers and become texts.
    KeysToText
    /// The keys of a map were texts and become integers.
    TextToKeys
    /// A `HashMap` becomes a `BTreeMap`, or the other way round.
    OtherMap
    /// A map becomes a struct.
    MapToStruct
    /// A struct becomes a map.
    StructToMap
    /// A sequence of pairs becomes a map.
    PairsToMap
    /// A text becomes an enum.
    TextToVariant
    /// An enum becomes a text.
    VariantToText
    /// A struct becomes an enum with one variant of its fields.
    StructToEnum
}
