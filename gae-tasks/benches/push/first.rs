//! The time from `bind` to the first response of a fresh process, in a program of 1,000 tasks.
//!
//! ```text
//! cargo bench -p gae-tasks --features push,testing --bench push_first
//! ```

#[allow(dead_code)] // Another benchmark uses the rest.
mod servers;
#[allow(dead_code)]
mod thread;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Command;
use std::time::{Duration, Instant};

use gae_tasks::Client;

macro_rules! tenfold {
    ($($inner:tt)*) => {
        mod t0 { $($inner)* } mod t1 { $($inner)* } mod t2 { $($inner)* } mod t3 { $($inner)* }
        mod t4 { $($inner)* } mod t5 { $($inner)* } mod t6 { $($inner)* } mod t7 { $($inner)* }
        mod t8 { $($inner)* } mod t9 { $($inner)* }
    };
}

tenfold! {
    tenfold! {
        tenfold! {
            #[gae_tasks::deferred]
            async fn task(_order: u64, _note: String) {}
        }
    }
}

const PROCESSES: usize = 21;

/// Starts processes one after the other, each of which measures itself.
fn main() {
    if std::env::args().any(|argument| argument == "answer") {
        return answer_first();
    }
    let own = std::env::current_exe().unwrap();
    let mut times: Vec<_> = (0..PROCESSES)
        .map(|_| {
            let output = Command::new(&own).arg("answer").output().unwrap();
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            Duration::from_nanos(String::from_utf8(output.stdout).unwrap().trim().parse().unwrap())
        })
        .collect();
    times.sort();
    let (median, worst) = (times[PROCESSES / 2], times[PROCESSES - 1]);
    println!(
        "first answer of a fresh process after bind, 1,000 tasks: median {median:?}, worst \
         {worst:?} (bar: 5 ms)"
    );
}

/// Serves one request and prints the nanoseconds from `bind` to the response.
fn answer_first() {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
    let bound = Instant::now();
    let address = listener.local_addr().unwrap();
    let client = runtime.block_on(Client::open("memory:")).unwrap();
    let router = axum::Router::new().nest_service("/_cb/deferred", servers::nested(&client));
    runtime.spawn(async move { axum::serve(listener, router).await });
    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all(&servers::request(&client)).unwrap();
    let mut answer = [0; 512];
    let len = stream.read(&mut answer).unwrap();
    let took = bound.elapsed();
    assert!(
        answer[..len].starts_with(b"HTTP/1.1 200"),
        "{}",
        String::from_utf8_lossy(&answer[..len])
    );
    assert!(client.registry().kinds().count() > 1000);
    println!("{}", took.as_nanos());
}
