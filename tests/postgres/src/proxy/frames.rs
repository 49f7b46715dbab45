//! The messages in what a client sends.

/// Returns whether a message asks for a commit, alone or after other statements.
pub fn is_commit(message: &[u8]) -> bool {
    let commits = |statement: &str| {
        let word = statement.split_whitespace().next().unwrap_or_default();
        word.eq_ignore_ascii_case("commit") || word.eq_ignore_ascii_case("end")
    };
    statement(message).is_some_and(|statements| statements.split(';').any(commits))
}

/// Returns the SQL in a message, which is its type, its length and its fields: that of a simple
/// query, or of a statement to prepare. The client waits for the answer to a preparation before
/// it asks for the statement to be executed, and executes it later without its SQL.
pub fn statement(message: &[u8]) -> Option<&str> {
    let fields = message.get(5..)?;
    let mut strings = fields.split(|byte| *byte == 0);
    let statement = match message[0] {
        b'Q' => strings.next(),
        // The name of the prepared statement comes first.
        b'P' => strings.nth(1),
        _ => None,
    };
    std::str::from_utf8(statement?).ok()
}

/// The part of a message that has come, and where in the protocol it stands.
#[derive(Debug, Default)]
pub(super) struct Frames {
    pending: Vec<u8>,
    has_started: bool,
}

impl Frames {
    /// Takes what a client has sent, and calls `message` with each message that it completes,
    /// except those that start the session.
    pub(super) fn take(&mut self, bytes: &[u8], mut message: impl FnMut(&[u8])) {
        self.pending.extend_from_slice(bytes);
        let mut read = 0;
        while let Some(length) = self.length(&self.pending[read..]) {
            let frame = &self.pending[read..read + length];
            read += length;
            if self.has_started {
                message(frame);
            } else {
                self.has_started = !is_request_before_start(frame);
            }
        }
        self.pending.drain(..read);
    }

    /// Returns the length of the message at the front, if all of it is here.
    fn length(&self, bytes: &[u8]) -> Option<usize> {
        // Messages have a type in front of the length, which does not count it, once the session
        // has started.
        let kind = usize::from(self.has_started);
        let length = bytes.get(kind..kind + 4)?.try_into().expect("four bytes");
        let length = kind + u32::from_be_bytes(length).max(4) as usize;
        (bytes.len() >= length).then_some(length)
    }
}

/// Returns whether a client asks for encryption, and starts its session only then.
fn is_request_before_start(frame: &[u8]) -> bool {
    const TLS: [u8; 4] = 80_877_103_u32.to_be_bytes();
    const GSS: [u8; 4] = 80_877_104_u32.to_be_bytes();
    frame.get(4..8).is_some_and(|code| code == TLS || code == GSS)
}

#[cfg(test)]
mod tests {
    use super::{Frames, is_commit, statement};

    fn message(kind: u8, fields: &[u8]) -> Vec<u8> {
        let length = u32::try_from(fields.len() + 4).unwrap().to_be_bytes();
        [&[kind], length.as_slice(), fields].concat()
    }

    #[test]
    fn messages_are_found_however_they_are_cut() {
        let start = [&8_u32.to_be_bytes()[..], &80_877_103_u32.to_be_bytes()].concat();
        let session = [&9_u32.to_be_bytes()[..], &196_608_u32.to_be_bytes(), b"\0"].concat();
        let (one, two) = (message(b'Q', b"BEGIN\0"), message(b'P', b"s\0COMMIT\0\0\0"));
        let bytes = [start, session, one.clone(), two.clone()].concat();
        for size in 1..bytes.len() {
            let (mut frames, mut found) = (Frames::default(), Vec::new());
            for chunk in bytes.chunks(size) {
                frames.take(chunk, |message| found.push(message.to_vec()));
            }
            assert_eq!(found, [one.clone(), two.clone()], "in pieces of {size}");
        }
    }

    #[test]
    fn a_commit_is_a_statement_of_its_own() {
        assert!(is_commit(&message(b'Q', b"COMMIT\0")));
        assert!(is_commit(&message(b'Q', b"SELECT 1; commit\0")));
        assert!(is_commit(&message(b'P', b"\0COMMIT\0\0\0")));
        assert!(!is_commit(&message(b'Q', b"CREATE TEMP TABLE t () ON COMMIT DROP\0")));
        assert!(!is_commit(&message(b'B', b"\0COMMIT\0")));
        assert_eq!(statement(&message(b'P', b"s1\0SELECT 1\0\0\0")), Some("SELECT 1"));
    }
}
