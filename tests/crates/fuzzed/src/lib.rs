//! What takes bytes from outside, each as one function that comes through any of them.
//!
//! To add one: a file here, a line in [`TARGETS`], and a folder of that name in `tests/fuzz/corpus` with an input or two.

#[cfg(feature = "push")]
mod envelope;
mod payload;
#[cfg(feature = "push")]
mod token;
mod url;

/// A function that comes through any bytes.
#[derive(Debug, Clone, Copy)]
pub struct Target {
    /// What `tests/fuzz.sh` and the folder of its kept inputs call it.
    pub name: &'static str,
    /// Panics if the bytes show a mistake.
    pub check: fn(&[u8]),
}

/// All of them.
pub const TARGETS: &[Target] = &[
    Target { name: "payload", check: payload::check },
    Target { name: "url", check: url::check },
    #[cfg(feature = "push")]
    Target { name: "envelope", check: envelope::check },
    #[cfg(feature = "push")]
    Target { name: "token", check: token::check },
];
