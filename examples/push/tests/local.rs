//! Runs `cloud_run` and `app_engine` with `--local`: the tasks deferred by their pages come back
//! and run.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Returns the command of an example's program. Cargo builds all examples before it runs this
/// package's tests.
fn example(name: &str) -> Command {
    let this = std::env::current_exe().unwrap();
    let folder = this.ancestors().nth(2).unwrap().join("examples");
    let program = folder.join(format!("{name}{}", std::env::consts::EXE_SUFFIX));
    assert!(
        program.exists(),
        "{} is not built: run `cargo test -p gae-tasks-examples-push`",
        program.display()
    );
    Command::new(program)
}

/// A running example, killed on drop.
struct Service {
    child: Child,
    address: String,
    /// Collects the service's log. A thread must read all the time: a child whose pipe is full
    /// blocks.
    log: JoinHandle<String>,
}

impl Service {
    fn start(name: &str) -> Self {
        let mut command = example(name);
        command
            .args(["--local", "--port", "0"])
            .env_remove("PORT")
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let (mut out, mut err) =
            (BufReader::new(child.stdout.take().unwrap()), child.stderr.take().unwrap());
        let log = std::thread::spawn(move || text(&mut err));
        let mut line = String::new();
        out.read_line(&mut line).unwrap();
        std::thread::spawn(move || text(&mut out));
        let address = line.trim().strip_prefix("http://").unwrap().to_owned();
        Self { child, address, log }
    }

    fn request(&self, line: &str) -> String {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        write!(
            stream,
            "{line} HTTP/1.1\r\nHost: shop\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
        )
        .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    /// Requests the page until it contains `text`.
    fn until_the_page_says(&self, text: &str) {
        let began = Instant::now();
        while !self.request("GET /").contains(text) {
            assert!(began.elapsed() < Duration::from_secs(60), "the page never says `{text}`");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Kills the service and returns its log.
    fn log(mut self) -> String {
        self.child.kill().unwrap();
        let nobody = std::thread::spawn(String::new);
        std::mem::replace(&mut self.log, nobody).join().unwrap()
    }
}

/// Reads the stream to its end.
fn text(stream: &mut impl Read) -> String {
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    text
}

impl Drop for Service {
    fn drop(&mut self) {
        _ = self.child.kill();
        _ = self.child.wait();
    }
}

/// Runs an example that refuses to start, and returns its error message.
fn refusal(name: &str, arguments: &[&str]) -> String {
    let mut command = example(name);
    command.args(arguments).args(["--port", "0"]);
    let output = command.env_remove("GAE_TASKS_URL").env_remove("PORT").output().unwrap();
    assert_eq!((output.status.code(), output.stdout.is_empty()), (Some(1), true), "{output:?}");
    String::from_utf8(output.stderr).unwrap()
}

#[test]
fn without_a_queue_they_do_not_start() {
    for (name, arguments) in
        [("cloud_run", &[][..]), ("app_engine", &[]), ("app_engine", &["--development"])]
    {
        let error = refusal(name, arguments);
        assert!(
            error.contains("`GAE_TASKS_URL`") && error.contains("`--local`"),
            "{name}: {error}"
        );
    }
}

/// The log is larger than a pipe's buffer of 64 KiB.
#[test]
fn a_service_that_logs_much_goes_on() {
    let service = Service::start("app_engine");
    let path = format!("POST /{}", "x".repeat(1000));
    for _ in 0..200 {
        assert!(service.request(&path).contains("404"));
    }
    let log = service.log();
    assert!(log.len() > 200_000, "{}", log.len());
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
