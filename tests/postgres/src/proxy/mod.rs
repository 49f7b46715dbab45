//! A proxy in front of a server, which does to connections what networks do.

mod connection;
mod fault;
mod frames;
mod listener;
mod state;

use std::sync::Arc;

use tokio::sync::watch;
use tokio::task::JoinHandle;

pub use self::fault::Fault;
use self::fault::Faults;
pub use self::frames::{is_commit, statement};
use self::listener::Listener;
use self::state::State;
use crate::server::SUPERUSER;

/// A TCP proxy on the loopback interface. It understands the client's side of PostgreSQL's
/// protocol, without TLS.
///
/// Its connections end when it is dropped. It runs on the runtime that starts it.
#[derive(Debug)]
pub struct Proxy {
    port: u16,
    wanted: watch::Sender<State>,
    /// Whether the port is listened to.
    listens: watch::Receiver<bool>,
    faults: Arc<Faults>,
    running: JoinHandle<()>,
}

impl Proxy {
    /// Starts a proxy in front of the server with this port on 127.0.0.1, which passes everything.
    ///
    /// # Panics
    ///
    /// If there is no free port.
    pub async fn before(server: u16) -> Proxy {
        let (wanted, state) = watch::channel(State::passing(server));
        let faults = Arc::new(Faults::default());
        let (port, listener) = Listener::bind(state, faults.clone()).await;
        let listens = listener.listens();
        Self { port, wanted, listens, faults, running: tokio::spawn(listener.run()) }
    }

    /// Returns the URL of a database behind the proxy.
    pub fn url(&self, database: &str) -> String {
        format!("postgres://{SUPERUSER}@127.0.0.1:{}/{database}", self.port)
    }

    /// Returns the port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Leads new connections to another server. Those that there are stay where they are.
    pub fn switch(&self, server: u16) {
        self.wanted.send_modify(|state| state.server = server);
    }

    /// Passes nothing on any connection, either way, until [`resume`](Self::resume). New
    /// connections are accepted and stall too.
    pub fn stall(&self) {
        self.wanted.send_modify(|state| state.stalls = true);
    }

    /// Passes again what stalled.
    pub fn resume(&self) {
        self.wanted.send_modify(|state| state.stalls = false);
    }

    /// Cuts all connections that there are.
    pub fn cut(&self) {
        self.wanted.send_modify(|state| state.cuts += 1);
    }

    /// Refuses new connections, as if no server listened, until [`accept`](Self::accept).
    pub async fn refuse(&self) {
        self.listen(false).await;
    }

    /// Accepts connections again.
    pub async fn accept(&self) {
        self.listen(true).await;
    }

    async fn listen(&self, listens: bool) {
        self.wanted.send_modify(|state| state.listens = listens);
        let mut listening = self.listens.clone();
        listening.wait_for(|now| *now == listens).await.expect("the proxy runs");
    }

    /// Passes the first message that `is_meant` is true of to the server, and withholds the answer
    /// and all that follows it on that connection. For the messages see [`is_commit`] and
    /// [`statement`].
    pub fn withhold(&self, is_meant: impl FnMut(&[u8]) -> bool + Send + 'static) -> Fault {
        self.faults.withhold(is_meant)
    }

    /// Passes the first message that `is_meant` is true of to the server, and the first half of the
    /// answer to the client, and cuts the connection there.
    pub fn cut_answer(&self, is_meant: impl FnMut(&[u8]) -> bool + Send + 'static) -> Fault {
        self.faults.cut_answer(is_meant)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.running.abort();
    }
}
