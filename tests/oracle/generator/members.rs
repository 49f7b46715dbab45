//! Edits of the fields of a struct, and of the variants of an enum.

use crate::edit::Edit;
use crate::kind::Kind;
use crate::maker::{Content, Field, Maker, Variant};

/// What has names: a field or a variant.
pub(crate) trait Named: Clone {
    fn names(&mut self) -> (&mut String, &mut Vec<String>);
}

impl Named for Field {
    fn names(&mut self) -> (&mut String, &mut Vec<String>) {
        (&mut self.rust, &mut self.names)
    }
}

impl Named for Variant {
    fn names(&mut self) -> (&mut String, &mut Vec<String>) {
        (&mut self.rust, &mut self.names)
    }
}

/// The members of a type before and after, and those that no edit has touched, by their position
/// before and their name.
#[derive(Debug)]
pub(crate) struct Members<M> {
    pub(crate) before: Vec<M>,
    pub(crate) after: Vec<M>,
    untouched: Vec<(usize, String)>,
}

impl<M: Named> Members<M> {
    /// The first `kept` are not edited.
    pub(crate) fn new(mut members: Vec<M>, kept: usize) -> Self {
        let names = members.iter_mut().map(|member| member.names().0.clone());
        let untouched = names.enumerate().skip(kept).collect();
        Self { before: members.clone(), after: members, untouched }
    }

    pub(crate) fn is_used_up(&self) -> bool {
        self.untouched.len() < 2
    }

    /// A member that is to be edited: its positions before and after.
    fn take(&mut self, maker: &mut Maker<'_>) -> (usize, usize) {
        let (before, name) = self.untouched.remove(maker.random.below(self.untouched.len()));
        let after = self.after.iter_mut().position(|member| *member.names().0 == name);
        (before, after.expect("an untouched member is there"))
    }

    fn rename(&mut self, naming: Naming, maker: &mut Maker<'_>) -> usize {
        let (before, after) = self.take(maker);
        let old = self.before[before].names().0.clone();
        let new = format!("{}{}", if old.starts_with('V') { "W" } else { "g" }, &old[1..]);
        let is_in_rust = matches!(naming, Naming::Other | Naming::WithAlias | Naming::InRust);
        if matches!(naming, Naming::ToAlias | Naming::AliasDropped) {
            self.before[before].names().1.push(new.clone());
        }
        let (rust, names) = self.after[after].names();
        if is_in_rust || matches!(naming, Naming::ToAlias) {
            *rust = new.clone();
        }
        match naming {
            Naming::Other | Naming::ToAlias => *names = vec![new],
            Naming::WithAlias => *names = vec![new, old],
            Naming::InRust | Naming::AliasDropped => {}
        }
        after
    }

    fn swap_names(&mut self, (one, other): (usize, usize)) {
        let (rust, names) = self.after[one].names();
        let (mut rust, mut names) = (rust.clone(), names.clone());
        let (other_rust, other_names) = self.after[other].names();
        std::mem::swap(&mut rust, other_rust);
        std::mem::swap(&mut names, other_names);
        let (one_rust, one_names) = self.after[one].names();
        (*one_rust, *one_names) = (rust, names);
    }

    fn insert(&mut self, at: usize, member: M) {
        self.after.insert(at, member);
    }

    /// Removes a member; its position before.
    fn remove(&mut self, maker: &mut Maker<'_>) -> usize {
        let (before, after) = self.take(maker);
        self.after.remove(after);
        before
    }
}

/// How a member is named afterwards.
#[derive(Debug, Clone, Copy)]
enum Naming {
    Other,
    WithAlias,
    InRust,
    ToAlias,
    AliasDropped,
}

impl Members<Field> {
    /// Applies an edit of fields; false if it is none.
    pub(crate) fn edit(&mut self, edit: Edit, maker: &mut Maker<'_>) -> bool {
        let count = self.after.len();
        let added = format!("h{count}");
        match edit {
            Edit::FieldsReordered => self.after.rotate_left(1 + maker.random.below(count - 1)),
            Edit::FieldsSwapped => {
                let (one, other) = self.two_of(maker, ["u32", "u32"]);
                self.after.swap(one, other);
            }
            Edit::FieldNamesSwapped => {
                let two = self.two_of(maker, ["u8", "u32"]);
                self.swap_names(two);
            }
            Edit::FieldRenamed => _ = self.rename(Naming::Other, maker),
            Edit::FieldRenamedWithDefault => {
                let at = self.rename(Naming::Other, maker);
                self.after[at].has_default = true;
            }
            Edit::FieldRenamedWithAlias => _ = self.rename(Naming::WithAlias, maker),
            Edit::FieldRenamedInRust => _ = self.rename(Naming::InRust, maker),
            Edit::FieldRenamedToAlias => _ = self.rename(Naming::ToAlias, maker),
            Edit::AliasRemoved => _ = self.rename(Naming::AliasDropped, maker),
            Edit::FieldAdded => {
                let field = Field::new(added, Kind::leaf("u16"));
                self.insert(maker.random.below(count + 1), field);
            }
            Edit::OptionFieldAdded => {
                let field = Field::new(added, maker.leaf().option());
                self.insert(maker.random.below(count + 1), field);
            }
            Edit::DefaultFieldAdded => {
                let field = Field { has_default: true, ..Field::new(added, maker.plain()) };
                self.insert(maker.random.below(count + 1), field);
            }
            Edit::FieldRemoved => _ = self.remove(maker),
            Edit::DefaultAdded => {
                let (_, at) = self.take(maker);
                self.after[at].has_default = true;
            }
            _ => return false,
        }
        true
    }

    /// Two fields, which get these types; their positions after.
    fn two_of(&mut self, maker: &mut Maker<'_>, types: [&str; 2]) -> (usize, usize) {
        let found = types.map(|of| {
            let (before, after) = self.take(maker);
            self.before[before].of = Kind::leaf(of);
            self.after[after].of = Kind::leaf(of);
            after
        });
        (found[0], found[1])
    }
}

impl Members<Variant> {
    /// Applies an edit of variants; false if it is none.
    pub(crate) fn edit(&mut self, edit: Edit, maker: &mut Maker<'_>) -> bool {
        let count = self.after.len();
        let added = format!("X{count}");
        let other = Variant { is_other: true, ..Variant::new("Other", Content::Unit) };
        let has_other = self.after.iter().any(|variant| variant.is_other);
        match edit {
            Edit::OtherAdded | Edit::OtherKept if has_other => return false,
            Edit::VariantAdded => self.insert(count, Variant::new(added, Content::Unit)),
            Edit::VariantInserted => {
                let content = Content::Newtype(maker.leaf());
                self.insert(maker.random.below(count), Variant::new(added, content));
            }
            Edit::VariantRemoved => _ = self.remove(maker),
            Edit::VariantsReordered => self.after.rotate_left(1 + maker.random.below(count - 1)),
            Edit::VariantNamesSwapped => {
                let (one, other) = (self.take(maker), self.take(maker));
                for (before, after) in [one, other] {
                    self.before[before].content = Content::Unit;
                    self.after[after].content = Content::Unit;
                }
                self.swap_names((one.1, other.1));
            }
            Edit::VariantsMerged => self.merge(maker),
            Edit::VariantRenamed => _ = self.rename(Naming::Other, maker),
            Edit::VariantRenamedWithAlias => _ = self.rename(Naming::WithAlias, maker),
            Edit::VariantRenamedInRust => _ = self.rename(Naming::InRust, maker),
            Edit::VariantRenamedToAlias => _ = self.rename(Naming::ToAlias, maker),
            Edit::OtherAdded => {
                self.remove(maker);
                self.insert(count - 1, other);
            }
            Edit::OtherKept => {
                let removed = self.remove(maker);
                if maker.random.once_in(2) {
                    self.before[removed].content = Content::Newtype(maker.leaf().option());
                }
                self.before.push(other.clone());
                self.after.push(other);
            }
            _ => return self.edit_content(edit, maker),
        }
        // Where serde wants it.
        self.after.sort_by_key(|variant| variant.is_other);
        true
    }

    fn merge(&mut self, maker: &mut Maker<'_>) {
        let gone = self.remove(maker);
        let old = self.before[gone].names().0.clone();
        let at = self.rename(Naming::WithAlias, maker);
        let (_, names) = self.after[at].names();
        let kept = names[1].clone();
        names.push(old);
        let content = Content::Newtype(maker.leaf());
        self.after[at].content = content.clone();
        for variant in &mut self.before {
            if variant.names().0.as_str() == kept {
                variant.content = content.clone();
            }
        }
        self.before[gone].content = content;
    }

    fn edit_content(&mut self, edit: Edit, maker: &mut Maker<'_>) -> bool {
        let (leaf, other) = (maker.leaf(), maker.leaf());
        let two = vec![leaf.clone(), other.clone()];
        let fields = vec![Field::new("f0", leaf.clone()), Field::new("f1", other.clone())];
        let (before, after) = match edit {
            Edit::UnitVariantToNewtype => (Content::Unit, Content::Newtype(leaf)),
            Edit::NewtypeVariantToUnit => (Content::Newtype(Kind::leaf("u8")), Content::Unit),
            Edit::OptionVariantToUnit => (Content::Newtype(leaf.option()), Content::Unit),
            Edit::NewtypeVariantToTuple => (Content::Newtype(leaf), Content::Tuple(two)),
            Edit::TupleVariantToStruct => (Content::Tuple(two), Content::Struct(fields)),
            Edit::StructVariantToTuple => (Content::Struct(fields), Content::Tuple(two)),
            Edit::TupleVariantToNewtype => {
                (Content::Tuple(two.clone()), Content::Newtype(Kind::tuple(&two)))
            }
            Edit::StructVariantToNewtype => {
                let both = maker.structure(&fields, &fields);
                (Content::Struct(fields), Content::Newtype(both.after))
            }
            _ => return false,
        };
        let (at_before, at_after) = self.take(maker);
        (self.before[at_before].content, self.after[at_after].content) = (before, after);
        true
    }
}
