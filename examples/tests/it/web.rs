//! A mail sent by the web server.
#![cfg(unix)]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};

use crate::started::{example, url};

/// The web server, killed when this is dropped.
struct Web {
    child: Child,
    output: BufReader<ChildStdout>,
    address: String,
}

impl Web {
    fn start(folder: &Path) -> Self {
        let mut command = example("web");
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

    fn request(&self, line: &str, form: &str) -> String {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        let kind = "application/x-www-form-urlencoded";
        let length = form.len();
        write!(
            stream,
            "{line} HTTP/1.1\r\nHost: shop\r\nConnection: close\r\nContent-Type: {kind}\r\n\
             Content-Length: {length}\r\n\r\n{form}"
        )
        .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }
}

impl Drop for Web {
    fn drop(&mut self) {
        // It may have ended already.
        _ = self.child.kill();
        _ = self.child.wait();
    }
}

#[test]
fn a_mail_that_is_being_sent_when_the_server_is_told_to_end_is_sent() {
    let folder = tempfile::tempdir().unwrap();
    let mut web = Web::start(folder.path());
    let answer = web.request("POST /signup", "name=Ada&email=ada%40example.org");
    assert!(answer.starts_with("HTTP/1.1 303"), "{answer}");
    while !web.request("GET /outbox", "").contains("<strong>1</strong> being sent") {
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    assert!(
        Command::new("kill")
            .args(["-TERM", &web.child.id().to_string()])
            .status()
            .unwrap()
            .success()
    );
    let mut rest = String::new();
    web.output.read_to_string(&mut rest).unwrap();
    assert_eq!(rest, "0 tasks wait for the next start\n");
    assert!(web.child.wait().unwrap().success());
}
