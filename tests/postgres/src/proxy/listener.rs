//! Accepts the proxy's connections.

use std::io;
use std::sync::Arc;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::connection;
use super::fault::Faults;
use super::state::{State, Wanted};
use crate::port;

/// A port, the connections to it and what is to happen to them.
#[derive(Debug)]
pub(super) struct Listener {
    port: u16,
    listener: Option<TcpListener>,
    listens: watch::Sender<bool>,
    state: watch::Receiver<State>,
    faults: Arc<Faults>,
    connections: JoinSet<()>,
}

impl Listener {
    pub(super) async fn bind(state: watch::Receiver<State>, faults: Arc<Faults>) -> (u16, Self) {
        let (port, listener) = loop {
            // Another program may take the port between its choice and this.
            let port = port::free();
            if let Ok(listener) = bind(port).await {
                break (port, Some(listener));
            }
        };
        let (listens, connections) = (watch::Sender::new(true), JoinSet::new());
        (port, Self { port, listener, listens, state, faults, connections })
    }

    /// Returns whether the port is listened to, at any time.
    pub(super) fn listens(&self) -> watch::Receiver<bool> {
        self.listens.subscribe()
    }

    pub(super) async fn run(mut self) {
        loop {
            tokio::select! {
                client = accept(self.listener.as_ref()) => self.connect(client),
                Some(_) = self.connections.join_next() => {}
                changed = self.state.changed() => match changed {
                    Ok(()) => self.obey().await,
                    // Nobody has the proxy any more.
                    Err(_) => return,
                },
            }
        }
    }

    fn connect(&mut self, client: io::Result<TcpStream>) {
        if let Ok(client) = client {
            let wanted = Wanted::from(&self.state);
            self.connections.spawn(connection::pass(client, wanted, self.faults.clone()));
        }
    }

    async fn obey(&mut self) {
        let listens = self.state.borrow_and_update().listens;
        if !listens {
            self.listener = None;
        } else if self.listener.is_none() {
            self.listener = Some(bind(self.port).await.expect("nobody takes the port meanwhile"));
        }
        self.listens.send_replace(listens);
    }
}

async fn bind(port: u16) -> io::Result<TcpListener> {
    TcpListener::bind(("127.0.0.1", port)).await
}

async fn accept(listener: Option<&TcpListener>) -> io::Result<TcpStream> {
    match listener {
        Some(listener) => Ok(listener.accept().await?.0),
        None => std::future::pending().await,
    }
}
