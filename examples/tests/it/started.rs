//! An example, started as a user starts it.

use std::path::Path;
use std::process::{Command, Output};

/// The program of an example: cargo builds all of them before it runs this package's tests.
pub(crate) fn example(name: &str) -> Command {
    let this = std::env::current_exe().unwrap();
    let folder = this.ancestors().nth(2).unwrap().join("examples");
    let program = folder.join(format!("{name}{}", std::env::consts::EXE_SUFFIX));
    assert!(
        program.exists(),
        "{} is not built: run `cargo test -p gae-tasks-examples`",
        program.display()
    );
    Command::new(program)
}

/// The URL of a queue file in this folder.
pub(crate) fn url(folder: &Path) -> String {
    format!("sqlite:{}", folder.join("tasks.db").display())
}

/// What a program wrote.
pub(crate) fn told(output: &Output) -> String {
    format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

pub(crate) fn is_empty(folder: &Path) -> bool {
    std::fs::read_dir(folder).unwrap().next().is_none()
}
