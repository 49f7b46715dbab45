//! `cloud_run` and `app_engine`, each started with its one flag: what their page defers comes back and runs.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// The program of an example: cargo builds all of them before it runs this package's tests.
fn example(name: &str) -> Command {
    let this = std::env::current_exe().unwrap();
    let folder = this.ancestors().nth(2).unwrap().join("examples");
    let program = folder.join(format!("{name}{}", std::env::consts::EXE_SUFFIX));
    assert!(program.exists(), "{} is not built: run `cargo test -p gae-tasks-examples-push`", program.display());
    Command::new(program)
}

/// A service, killed when this is dropped.
struct Service {
    child: Child,
    address: String,
}

impl Service {
    fn start(name: &str) -> Self {
        let mut command = example(name);
        command.args(["--local", "--port", "0"]).env_remove("PORT").stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let address = line.trim().strip_prefix("http://").unwrap().to_owned();
        Self { child, address }
    }

    fn request(&self, line: &str) -> String {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        write!(stream, "{line} HTTP/1.1\r\nHost: shop\r\nConnection: close\r\nContent-Length: 0\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    /// Asks for the page until it says so.
    fn until_the_page_says(&self, text: &str) {
        let began = Instant::now();
        while !self.request("GET /").contains(text) {
            assert!(began.elapsed() < Duration::from_secs(60), "the page never says `{text}`");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// What it has logged, after its end.
    fn log(mut self) -> String {
        self.child.kill().unwrap();
        let mut log = String::new();
        self.child.stderr.take().unwrap().read_to_string(&mut log).unwrap();
        log
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        _ = self.child.kill();
        _ = self.child.wait();
    }
}

fn assert_tasks_passed_the_middleware(log: &str, kind: &str) {
    for status in ["500", "200"] {
        let line = format!("/_cb/deferred/{kind} from the task queue: {status}");
        assert!(log.contains(&line), "no line `{line}` in\n{log}");
    }
}

#[test]
fn on_cloud_run_tasks_come_back_with_tokens_and_pass_the_users_middleware() {
    let service = Service::start("cloud_run");
    assert!(service.request("POST /greet?name=ada").contains("deferred: "));
    service.until_the_page_says("greeted: ada");
    let forged = service.request("POST /_cb/deferred/cloud_run/greet");
    assert!(forged.starts_with("HTTP/1.1 403"), "{forged}");
    assert_tasks_passed_the_middleware(&service.log(), "cloud_run/greet");
}

#[test]
fn on_app_engine_tasks_come_back_from_the_background_service() {
    let service = Service::start("app_engine");
    assert!(service.request("POST /count/flaky").contains("deferred: "));
    service.until_the_page_says("flaky: 1");
    assert_tasks_passed_the_middleware(&service.log(), "app_engine/count");
}
