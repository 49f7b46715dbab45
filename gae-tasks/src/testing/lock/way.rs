//! The way from the parameters to a part of one.

use crate::payload::resolve::path::{Step, path};

/// The way to a part.
#[derive(Debug, Clone, Default)]
pub(super) struct Way<'a> {
    steps: Vec<Step<'a>>,
    children: Vec<usize>,
}

impl<'a> Way<'a> {
    /// The way to a child of the writer's type; options are no steps that people name.
    pub(super) fn to(&self, child: usize, step: Option<Step<'a>>) -> Self {
        let mut way = self.clone();
        way.children.push(child);
        way.steps.extend(step);
        way
    }

    /// Which child to take of each of the writer's types.
    pub(super) fn children(&self) -> &[usize] {
        &self.children
    }

    /// The path, as errors show it.
    pub(super) fn path(&self) -> String {
        path(self.steps.iter().copied())
    }

    /// The path to the last name: what stands between it and the part has none.
    pub(super) fn path_of_name(&self) -> String {
        let is_name = |step: &Step<'_>| matches!(step, Step::Field(_) | Step::Variant(_));
        let names = self.steps.iter().rposition(is_name).map_or(0, |last| last + 1);
        path(self.steps[..names].iter().copied())
    }

    /// The path of `name` in what stands here.
    pub(super) fn path_to(&self, name: Step<'_>) -> String {
        path(self.steps.iter().copied().chain([name]))
    }

    /// The same, as `ignores` has it: names of parameters and fields only.
    pub(super) fn ignores(&self, name: &str) -> String {
        let fields = self.steps.iter().copied().filter(|step| matches!(step, Step::Field(_)));
        path(fields.chain([Step::Field(name)]))
    }
}
