//! A type: how Rust writes it, and what its schema must be.

/// A type of one side.
#[derive(Debug, Clone)]
pub(crate) struct Kind {
    pub(crate) source: String,
    /// In the notation of `Schema`.
    pub(crate) schema: String,
    /// Whether it has a `Default`.
    pub(crate) has_default: bool,
}

impl Kind {
    pub(crate) fn new(source: impl Into<String>, schema: impl Into<String>) -> Self {
        Self { source: source.into(), schema: schema.into(), has_default: false }
    }

    /// A type of the language or of the standard library, which has the same name in a schema.
    pub(crate) fn leaf(name: &str) -> Self {
        Self { has_default: true, ..Self::new(name, name) }
    }

    pub(crate) fn option(&self) -> Self {
        let (source, schema) = (&self.source, &self.schema);
        let source = format!("Option<{source}>");
        Self { has_default: true, ..Self::new(source, format!("Option<{schema}>")) }
    }

    pub(crate) fn seq(&self) -> Self {
        let (source, schema) = (&self.source, &self.schema);
        let source = format!("Vec<{source}>");
        Self { has_default: true, ..Self::new(source, format!("Vec<{schema}>")) }
    }

    pub(crate) fn array(&self, len: usize) -> Self {
        let (source, schema) = (&self.source, &self.schema);
        let source = format!("[{source}; {len}]");
        Self { has_default: self.has_default, ..Self::new(source, format!("[{schema}; {len}]")) }
    }

    pub(crate) fn boxed(&self) -> Self {
        Self { source: format!("Box<{}>", self.source), ..self.clone() }
    }

    /// A map from `key` to this, as the Rust type `map`.
    pub(crate) fn map(&self, map: &str, key: &Self) -> Self {
        let source = format!("{map}<{}, {}>", key.source, self.source);
        let schema = format!("Map<{}, {}>", key.schema, self.schema);
        Self { has_default: true, ..Self::new(source, schema) }
    }

    /// A tuple of two or more. One of the same types is an array.
    pub(crate) fn tuple(parts: &[Self]) -> Self {
        let source = list(parts, |part| &part.source);
        let has_default = parts.iter().all(|part| part.has_default);
        let first = &parts[0].schema;
        let schema = match parts.iter().all(|part| part.schema == *first) {
            true => format!("[{first}; {}]", parts.len()),
            false => format!("({})", list(parts, |part| &part.schema)),
        };
        Self { has_default, ..Self::new(format!("({source})"), schema) }
    }
}

fn list<'a>(parts: &'a [Kind], of: impl Fn(&'a Kind) -> &'a str) -> String {
    parts.iter().map(of).collect::<Vec<_>>().join(", ")
}

/// A type before and after.
#[derive(Debug, Clone)]
pub(crate) struct Both {
    pub(crate) before: Kind,
    pub(crate) after: Kind,
}

impl Both {
    pub(crate) fn same(kind: Kind) -> Self {
        Self { before: kind.clone(), after: kind }
    }

    /// Does the same on both sides.
    pub(crate) fn map(&self, to: impl Fn(&Kind) -> Kind) -> Self {
        Self { before: to(&self.before), after: to(&self.after) }
    }
}
