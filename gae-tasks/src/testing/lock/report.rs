//! The message of a failed assert: what differs, what that means, what to do.

use std::fmt;
use std::path::Path;

use super::advice::Finding;
use super::diff::diff;
use super::format::File;
use super::program::Program;

/// What an assert has to say.
pub(super) struct Report<'a> {
    pub(super) path: &'a Path,
    pub(super) program: &'a Program<'a>,
    pub(super) findings: &'a [Finding],
    /// What the file says.
    pub(super) was: &'a File,
    /// What it says after the write, or would say if it took all changes.
    pub(super) is: &'a File,
    /// Whether the file has been written.
    pub(super) is_written: bool,
}

impl fmt::Display for Report<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let open = self.findings.iter().filter(|finding| !finding.is_written).count();
        let path = self.path.display();
        match (self.is_written, open) {
            (true, 0) => writeln!(f, "{path} is written.")?,
            (true, _) => writeln!(f, "{path} needs more than a write:")?,
            (false, _) => writeln!(f, "{path} and the tasks of this program differ:")?,
        }
        let mut kind = "";
        for finding in
            self.findings.iter().filter(|finding| !self.is_written || !finding.is_written)
        {
            if finding.kind != kind {
                kind = &finding.kind;
                let place =
                    self.program.tasks.get(kind).map_or("not in this program", |task| &task.place);
                writeln!(f, "\n{kind} ({place})")?;
            }
            writeln!(f, "  {}: {}", finding.class.words(), finding.text)?;
        }
        let diff = diff(self.was, self.is);
        if !diff.is_empty() {
            write!(f, "\n{diff}")?;
        }
        if !self.is_written {
            writeln!(f, "\n{}", advice(self.findings.len() - open, open))?;
        }
        Ok(())
    }
}

/// What a write does.
fn advice(written: usize, open: usize) -> String {
    const WRITE: &str = "run this test with GAE_TASKS_LOCK=write, and commit the file";
    match (written, open) {
        (_, 0) => format!("If that is meant, {WRITE}."),
        (0, _) => "A write would not change that: see above what to do.".to_owned(),
        (_, open) => format!(
            "See above what to do about {open} of these changes. For the others, if they are \
             meant, {WRITE}."
        ),
    }
}
