//! What a refusal of a configuration file has: reasons in one line each, with places in the file.

use gae_tasks::Error;

/// Panics unless `error` is such a refusal of `text`.
pub(super) fn check(text: &str, error: &Error) {
    let Error::ConfigFile { mistakes, .. } = error else { panic!("{text:?}: {error}") };
    assert!(!mistakes.is_empty(), "{text:?} is refused without a reason");
    for mistake in mistakes {
        let is_inside = (1..=lines(text)).contains(&mistake.line) && mistake.column > 0;
        assert!(is_inside, "{mistake}");
        assert!(!mistake.problem.contains(char::is_control), "{mistake}");
    }
}

/// The number of lines of a text, and one more: a mistake may be told after the end, where
/// something is missing. CR ends a line too.
pub(super) fn lines(text: &str) -> usize {
    text.split(['\n', '\r']).count() + 1
}
