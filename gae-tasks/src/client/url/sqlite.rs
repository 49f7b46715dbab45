//! What a URL `sqlite:..` names: the forms that SQLite's other users in Rust write, with their
//! meaning.

/// Where a URL's tasks are kept.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Target {
    /// In this process's memory.
    Memory,
    File {
        path: String,
        /// Whether the file is made if it is missing.
        is_made: bool,
    },
}

impl Target {
    /// What stands behind `sqlite:`, read as sqlx reads it, but that a file without a `mode` is
    /// made if it is missing.
    ///
    /// # Errors
    /// What is wrong with the URL, to follow the URL.
    pub(super) fn read(rest: &str) -> Result<Self, String> {
        // `sqlite:///var/lib/app.db` is how most tools write an absolute path.
        let rest = rest.strip_prefix("//").unwrap_or(rest);
        let (file, parameters) = rest.split_once('?').unwrap_or((rest, ""));
        let is_made = read_parameters(parameters)?;
        if file == ":memory:" {
            return Ok(Self::Memory);
        }
        let path = unescaped(file)?;
        if path.is_empty() {
            return Err("does not name a file".to_owned());
        }
        if path.starts_with("file:") {
            return Err(
                "names a file in SQLite's own way, as a URI: write its path alone".to_owned()
            );
        }
        Ok(Self::File { path, is_made })
    }
}

/// Whether the parameters let a missing file be made; or which of them a queue cannot have, and
/// why.
fn read_parameters(parameters: &str) -> Result<bool, String> {
    let mut is_made = true;
    for parameter in parameters.split('&').filter(|parameter| !parameter.is_empty()) {
        let refused = |why: &str| Err(format!("has the parameter `{parameter}`, {why}"));
        match parameter.split_once('=').unwrap_or((parameter, "")) {
            ("mode", "rwc") => is_made = true,
            ("mode", "rw") => is_made = false,
            ("mode", "ro") | ("immutable", "1" | "true") => {
                return refused("but a queue writes to its file: leave the parameter out");
            }
            ("mode", "memory") => return refused("for which the URL is `sqlite::memory:`"),
            ("mode", _) => return refused("but a mode is `rwc` (the default) or `rw`"),
            ("cache", "private") | ("immutable", "0" | "false") => {}
            ("cache", "shared") => {
                return refused(
                    "but a queue's connections lock each other out by their own caches: leave it out",
                );
            }
            _ => return refused("which is unknown here: `mode` is known"),
        }
    }
    Ok(is_made)
}

/// The text without its escapes: `%20` is a space. What only looks like an escape stays as it is.
fn unescaped(text: &str) -> Result<String, String> {
    let (mut bytes, mut rest) = (Vec::with_capacity(text.len()), text.as_bytes());
    while let Some((first, behind)) = rest.split_first() {
        (rest, _) = match (first, behind) {
            (b'%', [high, low, behind @ ..])
                if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() =>
            {
                (behind, bytes.push(digit(*high) << 4 | digit(*low)))
            }
            _ => (behind, bytes.push(*first)),
        };
    }
    String::from_utf8(bytes).map_err(|_| "has escapes (`%..`) that make no text".to_owned())
}

/// The value of a hexadecimal digit.
const fn digit(byte: u8) -> u8 {
    match byte {
        b'0'..=b'9' => byte - b'0',
        _ => (byte | 0x20) - b'a' + 10,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &str, is_made: bool) -> Result<Target, String> {
        Ok(Target::File { path: path.to_owned(), is_made })
    }

    #[test]
    fn what_sqlx_reads_is_read_alike() {
        for (rest, path, is_made) in [
            ("app.db", "app.db", true),
            ("//app.db", "app.db", true),
            ("///var/lib/app.db", "/var/lib/app.db", true),
            ("//app.db?mode=rwc", "app.db", true),
            ("app.db?mode=rw", "app.db", false),
            ("app.db?cache=private&mode=rw&immutable=0", "app.db", false),
            ("app.db?", "app.db", true),
            ("my%20app%3F.db", "my app?.db", true),
            ("100%.db", "100%.db", true),
            ("%zz%4", "%zz%4", true),
            ("%C3%a4.db", "ä.db", true),
        ] {
            assert_eq!(Target::read(rest), file(path, is_made), "{rest}");
        }
        for memory in [":memory:", "//:memory:", ":memory:?mode=rwc"] {
            assert_eq!(Target::read(memory), Ok(Target::Memory), "{memory}");
        }
    }

    #[test]
    fn a_part_that_a_queue_cannot_have_is_named() {
        let bad = [
            "mode=ro",
            "mode=memory",
            "mode=x",
            "mode",
            "cache=shared",
            "immutable=true",
            "vfs=unix",
            "Mode=rw",
        ];
        for bad in bad {
            for url in [
                format!("app.db?{bad}"),
                format!("app.db?mode=rwc&{bad}"),
                format!(":memory:?{bad}"),
            ] {
                let problem = Target::read(&url).unwrap_err();
                assert!(problem.contains(&format!("`{bad}`")), "{problem}");
            }
        }
        assert!(Target::read("app.db?mode=memory").unwrap_err().contains("`sqlite::memory:`"));
    }

    #[test]
    fn what_names_no_file_is_refused() {
        for nothing in ["", "//", "?mode=rwc", "//?"] {
            assert!(
                Target::read(nothing).unwrap_err().contains("does not name a file"),
                "{nothing}"
            );
        }
        for uri in ["file:a.db", "//file:a.db", "file%3Aa.db"] {
            assert!(Target::read(uri).unwrap_err().contains("URI"), "{uri}");
        }
        assert!(Target::read("%ff.db").unwrap_err().contains("escapes"));
    }
}
