//! Whom the servers run as: this user, or an unprivileged one instead of root, which they refuse.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::{MetadataExt, chown};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};

/// The user that a folder's server runs as.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Owner {
    /// The user and group to change to; nothing if they stay.
    instead_of_root: Option<(u32, u32)>,
}

impl Owner {
    /// Gives a folder that this program created to the user that its server will run as.
    pub(crate) fn of(folder: &Path) -> Self {
        let created = fs::metadata(folder).expect("the folder was just created");
        let instead_of_root = (created.uid() == 0).then(unprivileged);
        if let Some((user, group)) = instead_of_root {
            chown(folder, Some(user), Some(group)).expect("root gives a folder away");
        }
        Self { instead_of_root }
    }

    /// Returns the command of a program that runs as this user in a folder of its own, as leader of
    /// a process group: what interrupts this program does not interrupt the server.
    pub(crate) fn command(self, program: impl AsRef<OsStr>, folder: &Path) -> Command {
        let mut command = Command::new(program);
        command.current_dir(folder).stdin(Stdio::null()).process_group(0).env("LC_ALL", "C");
        for (name, _) in std::env::vars_os() {
            // They would change what the programs connect to.
            if name.as_encoded_bytes().starts_with(b"PG") {
                command.env_remove(name);
            }
        }
        if let Some((user, group)) = self.instead_of_root {
            command.uid(user).gid(group);
        }
        command
    }
}

/// Returns the user and group ids of `postgres`, or else of `nobody`.
fn unprivileged() -> (u32, u32) {
    let users = fs::read_to_string("/etc/passwd").unwrap_or_default();
    ["postgres", "nobody"].iter().find_map(|name| ids(&users, name)).expect(
        "PostgreSQL does not run as root, and there is neither a user `postgres` nor `nobody` to \
         run it as: create one, or run the tests as another user",
    )
}

fn ids(users: &str, name: &str) -> Option<(u32, u32)> {
    let user = users.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
    let mut fields = user.split(':').skip(1).map(|id| id.parse().ok());
    Some((fields.next()??, fields.next()??))
}

#[cfg(test)]
mod tests {
    use super::ids;

    #[test]
    fn a_user_is_found_by_its_whole_name() {
        let users = "postgres-old:x:7:8::/:/bin/sh\npostgres:x:101:104::/:/bin/sh\n";
        assert_eq!(ids(users, "postgres"), Some((101, 104)));
        assert_eq!(ids(users, "nobody"), None);
    }
}
