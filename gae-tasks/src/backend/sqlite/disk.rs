//! Detects a database on a disk that is lost with its instance, on platforms with such disks.

use std::path::{Path, PathBuf};

/// The file in which Linux lists mounts.
const MOUNTS: &str = "/proc/mounts";

/// The environment variables that identify a platform, and the platform's name.
const PLATFORMS: [(&str, &str); 3] =
    [("K_SERVICE", "Cloud Run"), ("CLOUD_RUN_JOB", "Cloud Run"), ("GAE_SERVICE", "App Engine")];

/// Returns why dead letters in this file may be lost, or cannot be written, on the current
/// platform.
pub(super) fn warning(file: &Path) -> Option<String> {
    let mounts = std::fs::read_to_string(MOUNTS).unwrap_or_default();
    warning_of(
        &whole(file),
        |name| std::env::var_os(name).is_some_and(|value| !value.is_empty()),
        &mounts,
    )
}

/// Returns the absolute path, with links resolved where possible.
fn whole(file: &Path) -> PathBuf {
    file.canonicalize().or_else(|_| std::path::absolute(file)).unwrap_or_else(|_| file.to_owned())
}

fn warning_of(file: &Path, is_set: impl Fn(&str) -> bool, mounts: &str) -> Option<String> {
    let (_, platform) = PLATFORMS.iter().find(|(variable, _)| is_set(variable))?;
    if outlives_instances(file, mounts) {
        return None;
    }
    Some(format!(
        "dead letters are kept in `{}`, which is on the instance's own disk: on {platform} that is \
         read-only or goes with the instance, and they go with it. Keep them at Google \
         (`dead_letters=queues` in the URL of Cloud Tasks), in a \
         bucket (`.dead_letters_in(..)`), or on a volume that is mounted",
        file.display()
    ))
}

/// Whether the file is on a volume that is mounted over the network: a bucket or a file server.
fn outlives_instances(file: &Path, mounts: &str) -> bool {
    let fields = mounts.lines().filter_map(|line| {
        let mut fields = line.split(' ').skip(1);
        Some((Path::new(fields.next()?), fields.next()?))
    });
    // The longest mount point counts, and of equal ones the last.
    let of_file = fields
        .filter(|(point, _)| file.starts_with(point))
        .max_by_key(|(point, _)| point.as_os_str().len());
    of_file.is_some_and(|(point, kind)| {
        point != Path::new("/") && (kind.starts_with("fuse") || kind.starts_with("nfs"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOUNTS: &str = "overlay / overlay rw 0 0\n\
                          tmpfs /tmp tmpfs rw 0 0\n\
                          bucket /mnt/bucket fuse.gcsfuse rw 0 0\n\
                          10.0.0.2:/share /mnt/share nfs4 rw 0 0\n\
                          tmpfs /mnt/share/cache tmpfs rw 0 0\n";

    fn is_warned_of(file: &str, platform: &str) -> bool {
        warning_of(Path::new(file), |name| name == platform, MOUNTS).is_some()
    }

    #[test]
    fn the_disks_of_known_platforms_go_with_their_instances() {
        for platform in ["K_SERVICE", "CLOUD_RUN_JOB", "GAE_SERVICE"] {
            for file in
                ["/tasks.db", "/tmp/tasks.db", "/app/data/tasks.db", "/mnt/share/cache/tasks.db"]
            {
                assert!(is_warned_of(file, platform), "{file} on {platform}");
            }
            for file in ["/mnt/bucket/tasks.db", "/mnt/share/deep/tasks.db"] {
                assert!(!is_warned_of(file, platform), "{file} on {platform}");
            }
        }
        assert!(is_warned_of("/mnt/bucketful/tasks.db", "K_SERVICE"), "another folder");
        let text =
            warning_of(Path::new("/tmp/tasks.db"), |name| name == "GAE_SERVICE", "").unwrap();
        assert!(text.contains("App Engine") && text.contains("`/tmp/tasks.db`"), "{text}");
    }

    #[test]
    fn elsewhere_nothing_is_known_of_the_disk() {
        assert!(!is_warned_of("/tasks.db", "KUBERNETES_SERVICE_HOST"));
    }
}
