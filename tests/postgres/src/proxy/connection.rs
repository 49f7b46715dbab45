//! One connection through the proxy.

use std::io;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};

use super::fault::{Faults, Met};
use super::frames::Frames;
use super::state::Wanted;

/// The fault that the next answer meets.
type Next = Arc<Mutex<Option<Met>>>;

/// Passes what comes until the server closes its side, or the connection is to be cut. A server
/// that is not there closes it at once.
pub(super) async fn pass(client: TcpStream, mut wanted: Wanted, faults: Arc<Faults>) {
    let Ok(server) = TcpStream::connect(("127.0.0.1", wanted.server())).await else { return };
    for stream in [&client, &server] {
        // It fails only on a connection that has ended.
        let _ = stream.set_nodelay(true);
    }
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    let next = Next::default();
    let requests = requests(from_client, to_server, wanted.clone(), faults, next.clone());
    tokio::pin!(requests);
    let answers = answers(from_server, to_client, wanted.clone(), next);
    tokio::pin!(answers);
    let mut asks = true;
    loop {
        tokio::select! {
            // The server still gets what a client sent before it left.
            _ = &mut requests, if asks => asks = false,
            _ = &mut answers => return,
            () = wanted.is_cut() => return,
        }
    }
}

async fn requests(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    mut wanted: Wanted,
    faults: Arc<Faults>,
    next: Next,
) -> io::Result<()> {
    let (mut bytes, mut frames) = (vec![0; 64 * 1024], Frames::default());
    loop {
        let count = from.read(&mut bytes).await?;
        wanted.passes().await;
        if count == 0 {
            return to.shutdown().await;
        }
        // Before the server can answer.
        frames.take(&bytes[..count], |message| {
            if let Some(met) = faults.meet(message) {
                *next.lock().expect("no panic inside") = Some(met);
            }
        });
        to.write_all(&bytes[..count]).await?;
    }
}

async fn answers(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    mut wanted: Wanted,
    next: Next,
) -> io::Result<()> {
    let mut bytes = vec![0; 64 * 1024];
    loop {
        let count = from.read(&mut bytes).await?;
        if count == 0 {
            return Ok(());
        }
        let met = next.lock().expect("no panic inside").take();
        let passed = match met {
            Some(met) => met.answer(count).await,
            None => None,
        };
        wanted.passes().await;
        to.write_all(&bytes[..passed.unwrap_or(count)]).await?;
        if passed.is_some() {
            return Ok(());
        }
    }
}
