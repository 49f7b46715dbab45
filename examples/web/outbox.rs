//! The task, and the outbox that stands for a mail server.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use gae_tasks::{TaskContext, deferred};

/// How long a mail takes: slow enough to see mails wait.
const SLOW: Duration = Duration::from_secs(if cfg!(test) { 0 } else { 2 });

/// How many mails are shown; older ones are forgotten.
const SHOWN: usize = 50;

/// Sends the welcome mail. That is slow, and nobody who signs up waits for it.
#[deferred(queue = "emails", deadline = "30s")]
pub(crate) async fn send_welcome(
    #[sensitive] to: String,
    name: String,
    #[state] outbox: &Outbox,
    #[context] cx: &TaskContext,
) {
    tokio::time::sleep(SLOW).await;
    tracing::info!("mail sent");
    let subject = format!("Welcome, {name}!");
    outbox.put(Mail { to, subject, attempt: cx.attempt() });
}

/// A mail that was sent.
#[derive(Debug, Clone)]
pub(crate) struct Mail {
    pub(crate) to: String,
    pub(crate) subject: String,
    /// The attempt that sent it.
    pub(crate) attempt: u32,
}

/// The last mails, shared by the handlers (as state) and the pages.
#[derive(Debug, Clone, Default)]
pub(crate) struct Outbox(Arc<Mutex<VecDeque<Mail>>>);

impl Outbox {
    pub(crate) fn put(&self, mail: Mail) {
        let mut mails = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        mails.push_front(mail);
        mails.truncate(SHOWN);
    }

    /// The last mails, newest first.
    pub(crate) fn mails(&self) -> Vec<Mail> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }
}
