//! Connections that send one prepared request after the other, so that the caller costs as little
//! as possible.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::thread::Thread;

pub(crate) const CONNECTIONS: usize = 16;

/// Sends `requests` requests and returns the time taken.
pub(crate) fn call(address: SocketAddr, request: &[u8], requests: usize) -> Duration {
    let caller = || {
        Thread::current().pin(1);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build().unwrap();
        runtime.block_on(async {
            let mut streams = Vec::new();
            for _ in 0..CONNECTIONS {
                let stream = TcpStream::connect(address).await.unwrap();
                stream.set_nodelay(true).unwrap();
                streams.push(stream);
            }
            let begun = Instant::now();
            let callers = streams.into_iter().map(|stream| {
                let request = request.to_vec();
                tokio::spawn(async move {
                    one_connection(stream, &request, requests / CONNECTIONS).await
                })
            });
            for caller in callers.collect::<Vec<_>>() {
                caller.await.unwrap();
            }
            begun.elapsed()
        })
    };
    std::thread::scope(|scope| scope.spawn(caller).join().unwrap())
}

async fn one_connection(mut stream: TcpStream, request: &[u8], requests: usize) {
    let mut answer = [0; 1024];
    for _ in 0..requests {
        stream.write_all(request).await.unwrap();
        let mut len = 0;
        // The responses have no body.
        while !answer[..len].ends_with(b"\r\n\r\n") {
            let read = stream.read(&mut answer[len..]).await.unwrap();
            assert_ne!(read, 0, "the server hung up");
            len += read;
        }
        assert!(answer.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&answer[..len]));
    }
}
