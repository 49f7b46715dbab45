//! The files that are digested.

use std::path::Path;

use walkdir::{DirEntry, WalkDir};

use crate::folder;

/// The paths of all files below `dir`, except hidden folders, build output and quickstart files.
///
/// A folder that cannot be read and a name that is not UTF-8 are left out, with a warning.
pub(crate) fn below(dir: &Path) -> Vec<String> {
    let mut files = Vec::new();
    for entry in WalkDir::new(dir).into_iter().filter_entry(is_wanted) {
        match entry {
            Ok(entry) if entry.file_type().is_file() => {
                match entry.into_path().into_os_string().into_string() {
                    Ok(path) => files.push(path),
                    Err(path) => tracing::warn!(
                        "left out, because the name is not UTF-8: {}",
                        path.display()
                    ),
                }
            }
            Ok(_) => {}
            Err(error) => tracing::warn!("left out: {error}"),
        }
    }
    files
}

fn is_wanted(entry: &DirEntry) -> bool {
    let name = entry.file_name().to_string_lossy();
    let is_kept_out = || name == "target" || name.starts_with(folder::PREFIX);
    entry.depth() == 0 || !(name.starts_with('.') || entry.file_type().is_dir() && is_kept_out())
}
