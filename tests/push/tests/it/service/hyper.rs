//! The push service in plain hyper, over a socket: chunked bodies, callers that hang up.

use std::net::SocketAddr;

use gae_tasks::push::PushService;
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::stage::{SECRET, World, end, hang};

async fn serve(service: PushService) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let service = TowerToHyperService::new(service.clone());
            tokio::spawn(
                hyper::server::conn::http1::Builder::new()
                    .serve_connection(TokioIo::new(stream), service),
            );
        }
    });
    address
}

/// Sends a handwritten chunked request, without a length.
async fn send(address: SocketAddr, kind: &str, chunks: &[&[u8]]) -> TcpStream {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let head = format!(
        "POST /_cb/deferred/{kind} HTTP/1.1\r\nHost: shop\r\nX-Secret: {SECRET}\r\n\
         X-CloudTasks-TaskRetryCount: 0\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    for chunk in chunks {
        let size = format!("{:x}\r\n", chunk.len());
        stream.write_all(&[size.as_bytes(), chunk, b"\r\n"].concat()).await.unwrap();
    }
    stream.write_all(b"0\r\n\r\n").await.unwrap();
    stream
}

async fn answer(mut stream: TcpStream) -> String {
    let mut text = String::new();
    stream.read_to_string(&mut text).await.unwrap();
    text
}

#[tokio::test]
async fn a_chunked_task_runs_and_a_chunked_flood_does_not() {
    let world = World::new();
    let address = serve(world.builder().max_body(10_000).build().unwrap()).await;
    let body = world.request(end::defer("done"), 1).into_body();
    let text = answer(send(address, "shop.orders/end", &[&body[..10], &body[10..]]).await).await;
    assert!(text.starts_with("HTTP/1.1 200"), "{text}");
    let text = answer(send(address, "shop.orders/end", &[&[0; 6_000], &[0; 6_000]]).await).await;
    assert!(text.starts_with("HTTP/1.1 413"), "{text}");
    assert_eq!(world.stage.signs().ended, 1);
}

#[tokio::test]
async fn when_the_caller_hangs_up_its_handler_is_dropped() {
    let world = World::new();
    let address = serve(world.service()).await;
    let body = world.request(hang::defer(), 1).into_body();
    let stream = send(address, "shop.orders/hang", &[&body]).await;
    world.stage.until(|signs| signs.begun == 1).await;
    drop(stream);
    world.stage.until(|signs| signs.dropped == 1).await;
}
