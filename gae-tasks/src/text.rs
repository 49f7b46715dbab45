//! Formatting of values that are text: names, kinds, ids.

/// Implements `Debug` with the type's name and its `Display`.
macro_rules! debug_as_text {
    ($($type:ident),*) => {$(
        impl std::fmt::Debug for $type {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                write!(f, concat!(stringify!($type), "({})"), self)
            }
        }
    )*};
}

/// Implements `Display`, `AsRef<str>` and `Debug` for a type that has `as_str`.
macro_rules! show_as_text {
    ($type:ident) => {
        impl std::fmt::Display for $type {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl AsRef<str> for $type {
            fn as_ref(&self) -> &str {
                self.as_str()
            }
        }

        $crate::text::debug_as_text!($type);
    };
}

pub(crate) use {debug_as_text, show_as_text};
