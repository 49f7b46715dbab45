//! The lines that a write would change, beside those around them.

use std::collections::BTreeSet;

use super::format::File;

/// How many equal lines are shown around those that differ.
const AROUND: usize = 2;

/// The changed lines of every kind that differs.
pub(super) fn diff(was: &File, is: &File) -> String {
    let kinds: BTreeSet<_> = was.entries.keys().chain(is.entries.keys()).collect();
    let text = |file: &File, kind: &String| {
        file.entries.get(kind).map(|entry| entry.text(kind)).unwrap_or_default()
    };
    let changed = kinds.into_iter().map(|kind| (text(was, kind), text(is, kind)));
    let shown = changed.filter(|(was, is)| was != is).map(|(was, is)| lines(&was, &is));
    shown.collect::<Vec<_>>().join("\n")
}

/// The lines of both texts, those of one alone marked.
fn lines(was: &str, is: &str) -> String {
    let (was, is): (Vec<_>, Vec<_>) = (was.lines().collect(), is.lines().collect());
    let common = common(&was, &is);
    let (mut marked, mut from, mut to) = (Vec::new(), 0, 0);
    while from < was.len() || to < is.len() {
        let is_equal = from < was.len() && to < is.len() && was[from] == is[to];
        let is_gone =
            to == is.len() || from < was.len() && common[from + 1][to] >= common[from][to + 1];
        let (mark, line) = match (is_equal, is_gone) {
            (true, _) => (' ', was[from]),
            (false, true) => ('-', was[from]),
            (false, false) => ('+', is[to]),
        };
        marked.push((mark, line));
        from += usize::from(mark != '+');
        to += usize::from(mark != '-');
    }
    let is_near = |at: usize| {
        let near = marked[at.saturating_sub(AROUND)..].iter().take(AROUND + 1 + AROUND.min(at));
        // The first line names the kind.
        at == 0 || near.into_iter().any(|(mark, _)| *mark != ' ')
    };
    let shown = marked.iter().enumerate().filter(|(at, _)| is_near(*at));
    shown.map(|(_, (mark, line))| format!("{mark} {line}\n")).collect()
}

/// How many lines the texts have in common, from each pair of lines on.
fn common(was: &[&str], is: &[&str]) -> Vec<Vec<u32>> {
    let mut common = vec![vec![0; is.len() + 1]; was.len() + 1];
    for from in (0..was.len()).rev() {
        for to in (0..is.len()).rev() {
            common[from][to] = if was[from] == is[to] {
                common[from + 1][to + 1] + 1
            } else {
                common[from + 1][to].max(common[from][to + 1])
            };
        }
    }
    common
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_that_differ_are_marked_and_stand_among_their_neighbours() {
        let was = "task a\n  1\n  2\n  3\n  4\n  5\n  6\n  7\n";
        let is = "task a\n  1\n  2\n  3\n  4\n  five\n  6\n  7\n  8\n";
        let shown = "  task a\n    3\n    4\n-   5\n+   five\n    6\n    7\n+   8\n";
        assert_eq!(lines(was, is), shown);
        assert_eq!(lines("", "task a\n  1\n"), "+ task a\n+   1\n");
        assert_eq!(lines("task a\n", ""), "- task a\n");
    }
}
