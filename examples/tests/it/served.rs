//! An example that is a web server, killed when it is dropped.
#![cfg(unix)]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};

use crate::started::{example, url};

/// The server, started as a user starts it.
pub(crate) struct Served {
    child: Child,
    output: BufReader<ChildStdout>,
    address: String,
}

impl Served {
    /// Starts the example on any free port, with a queue in `folder`.
    pub(crate) fn start(name: &str, folder: &Path) -> Self {
        let mut command = example(name);
        command
            .args(["--port", "0", "--url", &url(folder)])
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        output.read_line(&mut line).unwrap();
        let address =
            line.split_whitespace().next().unwrap().strip_prefix("http://").unwrap().to_owned();
        Self { child, output, address }
    }

    /// The whole answer to a request, such as `POST /signup`, with a body of this media type.
    pub(crate) fn request(&self, line: &str, media: &str, body: &str) -> String {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        let length = body.len();
        write!(
            stream,
            "{line} HTTP/1.1\r\nHost: shop\r\nConnection: close\r\nContent-Type: {media}\r\n\
             Content-Length: {length}\r\n\r\n{body}"
        )
        .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    /// The next line that the server writes.
    pub(crate) fn next_line(&mut self) -> String {
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        line
    }

    /// Sends SIGTERM, and returns what the server writes before it ends without an error.
    pub(crate) fn terminate(mut self) -> String {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &id]).status().unwrap().success());
        let mut rest = String::new();
        self.output.read_to_string(&mut rest).unwrap();
        assert!(self.child.wait().unwrap().success());
        rest
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        // It may have ended already.
        _ = self.child.kill();
        _ = self.child.wait();
    }
}
