//! Random numbers, straight from the operating system.
//!
//! A generator that lives in the process is doubled by `fork`, and parent and child go on with the same numbers. `uuid` may
//! have such a one: any crate of a program can switch on its `fast-rng`.

/// 64 random bits.
///
/// # Panics
/// If the operating system has none, as before it has started up.
pub(crate) fn bits() -> u64 {
    getrandom::u64().expect("the operating system has random numbers")
}
