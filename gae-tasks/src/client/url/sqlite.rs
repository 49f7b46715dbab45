//! Reads a URL `sqlite:..`: the forms that other users of SQLite in Rust write, with the same
//! meaning.

/// The place of a URL's tasks.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Target {
    /// The memory of this process.
    Memory,
    File {
        path: String,
        /// Whether a missing file is created.
        is_made: bool,
    },
}

impl Target {
    /// Reads the part after `sqlite:` as sqlx does, except that a file without a `mode` is created
    /// if missing.
    ///
    /// # Errors
    /// What is wrong with the URL, in words that follow the URL.
    pub(super) fn read(rest: &str) -> Result<Self, String> {
        // Most tools write an absolute path as `sqlite:///var/lib/app.db`.
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
            return Err("names a file as an SQLite URI: use the plain path".to_owned());
        }
        Ok(Self::File { path, is_made })
    }
}

/// Whether the parameters allow to create a missing file; or which parameter a queue does not
/// support, and why.
fn read_parameters(parameters: &str) -> Result<bool, String> {
    let mut is_made = true;
    for parameter in parameters.split('&').filter(|parameter| !parameter.is_empty()) {
        let refused = |why: &str| Err(format!("has the parameter `{parameter}`, {why}"));
        match parameter.split_once('=').unwrap_or((parameter, "")) {
            ("mode", "rwc") => is_made = true,
            ("mode", "rw") => is_made = false,
            ("mode", "ro") | ("immutable", "1" | "true") => {
                return refused("but a queue writes to its file: remove the parameter");
            }
            ("mode", "memory") => return refused("but the URL for that is `sqlite::memory:`"),
            ("mode", _) => return refused("but `mode` must be `rwc` (the default) or `rw`"),
            ("cache", "private") | ("immutable", "0" | "false") => {}
            ("cache", "shared") => {
                return refused(
                    "but connections with a shared cache would block each other: remove the \
                     parameter",
                );
            }
            _ => return refused("which is unknown: only `mode` is supported"),
        }
    }
    Ok(is_made)
}

/// Decodes percent escapes: `%20` is a space. Invalid escapes are kept unchanged.
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
    String::from_utf8(bytes).map_err(|_| "has escapes (`%..`) that are not valid UTF-8".to_owned())
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
