//! How values that are text are shown: names, kinds, ids.

/// `Debug` by the type's name and its `Display`.
macro_rules! debug_as_text {
    ($($type:ident),*) => {$(
        impl std::fmt::Debug for $type {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                write!(f, concat!(stringify!($type), "({})"), self)
            }
        }
    )*};
}

/// `Display`, `AsRef<str>` and `Debug` of a type that has `as_str`.
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
