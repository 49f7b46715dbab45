//! Chooses ports that nobody uses, and that nobody takes while a server is down.

use std::collections::hash_map::RandomState;
use std::fs;
use std::hash::BuildHasher;
use std::net::TcpListener;

/// Returns a free port of the loopback interface.
///
/// It is below those that the system gives to outgoing connections: a client that tries again and
/// again to reach a server that is down would otherwise be given the server's own port in the end,
/// and be connected to itself.
pub(crate) fn free() -> u16 {
    const LOWEST: u16 = 10_000;
    let range = fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").unwrap_or_default();
    let first = range.split_whitespace().next().and_then(|port| port.parse().ok());
    let ports = first.filter(|first| *first > LOWEST + 1_000).unwrap_or(32_768) - LOWEST;
    (0_u64..1_000)
        .map(|n| LOWEST + (random(n) % u64::from(ports)) as u16)
        .find(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok())
        .expect("no free port found on 127.0.0.1")
}

/// Returns a random number, without a crate.
fn random(n: u64) -> u64 {
    RandomState::new().hash_one(n)
}
