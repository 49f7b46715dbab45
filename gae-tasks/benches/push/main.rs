//! The cost of a pushed task: the push service compared with a bare axum handler that reads and
//! decodes the same body, over loopback, with one core for the server and one for its callers.
//!
//! ```text
//! cargo bench -p gae-tasks --features push,testing --bench push [-- REQUESTS | alone]
//! ```
//!
//! CPU time is that of the server thread, as reported by Linux. Threads are pinned if `taskset` is
//! installed.

mod alone;
mod caller;
mod servers;
mod thread;

use std::time::Duration;

use servers::Server;

const ROUNDS: usize = 5;

/// One round of one server.
#[derive(Clone, Copy)]
struct Round {
    cpu: Duration,
    rate: f64,
}

fn main() {
    let arguments: Vec<_> =
        std::env::args().skip(1).filter(|argument| !argument.starts_with("--")).collect();
    if arguments.first().is_some_and(|argument| argument == "alone") {
        return alone::report();
    }
    let requests = arguments.first().and_then(|argument| argument.parse().ok()).unwrap_or(40_000);
    let servers = [Server::Bare, Server::Routed, Server::BareNested, Server::Nested];
    let mut rounds = [const { Vec::new() }; 4];
    for server in servers {
        measure(server, requests / 10);
    }
    println!("{requests} requests a round by {} connections", caller::CONNECTIONS);
    println!("{:<28} {:>12} {:>12}", "", "CPU us/req", "req/s");
    for _ in 0..ROUNDS {
        for (server, rounds) in servers.into_iter().zip(&mut rounds) {
            let round = measure(server, requests);
            println!(
                "{:<28} {:>12.2} {:>12.0}",
                server.name(),
                round.cpu.as_secs_f64() * 1e6,
                round.rate
            );
            rounds.push(round);
        }
    }
    println!(
        "medians of the ratios of each round to the bare handler mounted alike (bars: CPU 1.15, \
         rate 0.90)"
    );
    for (server, pair) in [Server::Routed, Server::Nested].into_iter().zip(rounds.chunks(2)) {
        let pairs = || pair[1].iter().zip(&pair[0]);
        let cpu =
            median(pairs().map(|(ours, bare)| ours.cpu.as_secs_f64() / bare.cpu.as_secs_f64()));
        let rate = median(pairs().map(|(ours, bare)| ours.rate / bare.rate));
        println!("{:<28} {cpu:>12.2} {rate:>12.2}", server.name());
    }
}

fn measure(server: Server, requests: usize) -> Round {
    let running = server.start();
    let before = running.thread.cpu();
    let took = caller::call(running.address, &running.request, requests);
    let cpu = running.thread.cpu() - before;
    running.stop();
    Round { cpu: cpu / requests as u32, rate: requests as f64 / took.as_secs_f64() }
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<_> = values.collect();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
