//! A server's own folder, and the guard that ends the server and removes the folder.

use std::io::Write;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;

use tempfile::TempDir;

use crate::owner::Owner;

/// Reads the server's process id, anew after each start and nothing after a stop. At the end of the
/// input, which comes when the program that writes it ends however it ends, a server that still
/// runs is told to quit at once, and the folder is removed.
const GUARD: &str = r#"
trap '' HUP INT TERM
pid=
while read -r line; do pid=$line; done
if [ -n "$pid" ] && kill -QUIT "$pid" 2>/dev/null; then
  tries=0
  while kill -0 "$pid" 2>/dev/null && [ $tries -lt 100 ]; do sleep 0.1; tries=$((tries + 1)); done
  kill -KILL "$pid" 2>/dev/null
fi
rm -rf "$1"
"#;

/// A folder below the temporary one.
#[derive(Debug)]
pub(crate) struct Folder {
    folder: TempDir,
    owner: Owner,
    guard: Mutex<Child>,
}

impl Folder {
    pub(crate) fn create() -> Self {
        let folder = tempfile::Builder::new().prefix("gae-tasks-").tempdir();
        let folder = folder.expect("the temporary folder cannot be written to: set `TMPDIR`");
        let owner = Owner::of(folder.path());
        let mut guard = Command::new("sh");
        // A group of its own: an interrupt from the terminal goes to the tests only.
        guard.args(["-c", GUARD, "guard"]).arg(folder.path()).process_group(0);
        // Who waits for the end of the tests' output does not wait for the guard.
        guard.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        let guard = Mutex::new(guard.spawn().expect("`sh` runs"));
        Self { folder, owner, guard }
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Returns the command of a program of this folder's server.
    pub(crate) fn command(&self, program: &Path) -> Command {
        self.owner.command(program, self.path())
    }

    /// Tells the guard which server it ends, if any.
    pub(crate) fn guards(&self, server: Option<u32>) {
        let line = server.map_or_else(String::new, |server| server.to_string());
        let mut guard = self.guard.lock().expect("no panic inside");
        let input = guard.stdin.as_mut().expect("it is taken at the end only");
        writeln!(input, "{line}").expect("the guard lives as long as this folder");
    }
}

/// Returns a path as it stands in the query of a URL.
pub(crate) fn in_url(path: &Path) -> String {
    let path = path.to_str().expect("a temporary folder is named in UTF-8");
    path.replace('%', "%25").replace('&', "%26").replace('+', "%2B").replace(' ', "%20")
}

impl Drop for Folder {
    fn drop(&mut self) {
        if let Ok(guard) = self.guard.get_mut() {
            drop(guard.stdin.take());
            // Nothing is lost if it fails: the folder is removed once more after this.
            let _ = guard.wait();
        }
    }
}
