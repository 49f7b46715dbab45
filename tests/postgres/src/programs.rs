//! Finds the programs of PostgreSQL, PgBouncer and OpenSSL on this machine.

use std::path::{Path, PathBuf};
use std::{env, fs};

/// Returns the folder with the newest server's programs.
///
/// # Panics
///
/// Without a server on this machine, with what installs one.
pub(crate) fn server() -> PathBuf {
    // A link in the `PATH` leads to the folder with the other programs of its version.
    let in_path = find("initdb").and_then(|initdb| initdb.parent().map(Path::to_owned));
    in_path.into_iter().chain(debian()).find(|folder| is_complete(folder)).expect(
        "no PostgreSQL server found (`initdb`, `postgres` and `pg_basebackup` in one folder of \
         the `PATH` or in /usr/lib/postgresql/*/bin): install it, on Debian by `apt-get install \
         postgresql`",
    )
}

/// Returns the file of PgBouncer.
///
/// # Panics
///
/// Without PgBouncer on this machine, with what installs it.
pub(crate) fn pgbouncer() -> PathBuf {
    find("pgbouncer").expect(
        "no `pgbouncer` found in the `PATH` or in /usr/sbin: install it, on Debian by `apt-get \
         install pgbouncer`",
    )
}

/// Returns the file of OpenSSL's program.
///
/// # Panics
///
/// Without OpenSSL on this machine, with what installs it.
pub(crate) fn openssl() -> PathBuf {
    find("openssl").expect(
        "no `openssl` found in the `PATH`: install it, on Debian by `apt-get install openssl`",
    )
}

fn find(program: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let folders = env::split_paths(&path).chain([PathBuf::from("/usr/sbin")]);
    folders
        .filter_map(|folder| folder.join(program).canonicalize().ok())
        .find(|file| file.is_file())
}

fn is_complete(folder: &Path) -> bool {
    ["initdb", "postgres", "pg_basebackup"].iter().all(|program| folder.join(program).is_file())
}

/// Returns the folders of Debian's packages, which are not in the `PATH`, newest first.
fn debian() -> Vec<PathBuf> {
    let version = |folder: &PathBuf| {
        folder.file_name().and_then(|name| name.to_str()?.parse::<u32>().ok()).unwrap_or(0)
    };
    let entries = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut versions: Vec<_> = entries.map(|entry| entry.path()).collect();
    versions.sort_by_key(|folder| std::cmp::Reverse(version(folder)));
    versions.into_iter().map(|folder| folder.join("bin")).collect()
}
