//! Rules for the README: code without hidden lines, a test that runs, a limited length.

use crate::read;

/// Returns the lines of the README, each with whether it is code.
fn lines(readme: &str) -> Vec<(bool, &str)> {
    let mut is_code = false;
    let marked = readme.lines().map(|line| {
        let is_fence = line.starts_with("```");
        is_code ^= is_fence;
        (is_code && !is_fence, line)
    });
    marked.collect()
}

/// rustdoc hides lines that begin with `#`; a repository's page shows them.
#[test]
fn no_line_of_code_is_one_that_only_rustdoc_hides() {
    let readme = read("../README.md");
    let lines = lines(&readme);
    let code: Vec<_> =
        lines.iter().filter(|(is_code, _)| *is_code).map(|(_, line)| line.trim_start()).collect();
    assert!(code.len() > 40, "{} lines of code", code.len());
    let hidden: Vec<_> =
        code.iter().filter(|line| line.starts_with("# ") || **line == "#").collect();
    assert!(hidden.is_empty(), "{hidden:#?}");
}

#[test]
fn it_is_read_in_a_few_minutes() {
    let readme = read("../README.md");
    let lines = lines(&readme);
    let words: usize = lines
        .iter()
        .filter(|(is_code, _)| !is_code)
        .map(|(_, line)| line.split_whitespace().count())
        .sum();
    assert!((700..=1100).contains(&words), "{words} words: details belong to the guides");
}

/// rustdoc does not compile functions that are `#[test]`, so the README's test is in an example.
#[test]
fn its_test_is_run_as_a_part_of_the_example() {
    let (readme, example) = (read("../README.md"), read("../examples/testing.rs"));
    let (_, test) = readme.split_once("#[tokio::test]").expect("a test in the README");
    let (test, _) = test.split_once("```").expect("the end of the code");
    let lines: Vec<_> = test.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    assert!(lines.len() >= 6, "{lines:?}");
    for line in lines {
        assert!(
            example.lines().any(|of_example| of_example.trim() == line),
            "not in examples/testing.rs: {line}"
        );
    }
    assert!(
        read("../examples/tests/it/main.rs").contains("#[path = \"../../testing.rs\"]"),
        "the example is not tested"
    );
}

#[test]
fn its_links_to_files_lead_to_some() {
    let readme = read("../README.md");
    let targets = readme
        .split("](")
        .skip(1)
        .filter_map(|rest| rest.split_once(')'))
        .map(|(target, _)| target);
    let files: Vec<_> = targets.filter(|target| !target.contains("://")).collect();
    assert!(files.len() > 4, "{files:?}");
    for file in files {
        read(&format!("../{file}"));
    }
}
