//! Fuzz targets: functions that pass any bytes to code that takes input from outside.
//!
//! To add a target, add a file here, a line in [`TARGETS`], and a folder of its name in
//! `tests/fuzz/corpus` with an input or two.

mod cron_file;
#[cfg(feature = "push")]
mod envelope;
mod payload;
mod queue_file;
mod refused;
mod resolve;
mod schema;
mod show;
#[cfg(feature = "push")]
mod token;
mod url;

/// A function that must not panic for any bytes.
#[derive(Debug, Clone, Copy)]
pub struct Target {
    /// The target's name in `tests/fuzz.sh`, and the folder of its kept inputs.
    pub name: &'static str,
    /// Panics if the bytes reveal a bug.
    pub check: fn(&[u8]),
}

/// All targets.
pub const TARGETS: &[Target] = &[
    Target { name: "cron_file", check: cron_file::check },
    Target { name: "payload", check: payload::check },
    Target { name: "queue_file", check: queue_file::check },
    Target { name: "resolve", check: resolve::check },
    Target { name: "schema", check: schema::check },
    Target { name: "show", check: show::check },
    Target { name: "url", check: url::check },
    #[cfg(feature = "push")]
    Target { name: "envelope", check: envelope::check },
    #[cfg(feature = "push")]
    Target { name: "token", check: token::check },
];
