//! What a proxy is to do with its connections.

use tokio::sync::watch;

/// What a proxy is to do.
#[derive(Clone, Copy, Debug)]
pub(super) struct State {
    pub(super) server: u16,
    pub(super) listens: bool,
    pub(super) stalls: bool,
    /// How often all connections were cut.
    pub(super) cuts: u64,
}

impl State {
    pub(super) fn passing(server: u16) -> Self {
        Self { server, listens: true, stalls: false, cuts: 0 }
    }
}

/// What is wanted of one connection, from its start on.
#[derive(Clone, Debug)]
pub(super) struct Wanted {
    state: watch::Receiver<State>,
    cuts: u64,
}

impl Wanted {
    pub(super) fn from(state: &watch::Receiver<State>) -> Self {
        Self { state: state.clone(), cuts: state.borrow().cuts }
    }

    pub(super) fn server(&self) -> u16 {
        self.state.borrow().server
    }

    /// Waits until the connection may pass something.
    pub(super) async fn passes(&mut self) {
        self.comes(|state| !state.stalls).await;
    }

    /// Waits until the connection is to be cut.
    pub(super) async fn is_cut(&mut self) {
        let cuts = self.cuts;
        self.comes(|state| state.cuts > cuts).await;
    }

    async fn comes(&mut self, is_wanted: impl FnMut(&State) -> bool) {
        if self.state.wait_for(is_wanted).await.is_err() {
            // Nobody has the proxy any more, which ends this connection too.
            std::future::pending().await
        }
    }
}
