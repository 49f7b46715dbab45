//! A queue in this process that signs its own tokens, in place of Google's.

use anyhow::Result;
use gae_tasks::backend::cloud_tasks::CloudTasks;
use gae_tasks::push::verify::Oidc;
use gae_tasks::{Client, ClientBuilder, Clock, QueueConfig, SystemClock};
use gae_tasks_tests_push::issuer::{ACCOUNT, AUDIENCE, Key, Published, claims, oidc};
use gae_tasks_tests_push::server::Server;

/// A small Cloud Tasks server that signs its requests.
#[derive(Debug)]
pub(crate) struct Queue(Server);

impl Queue {
    pub(crate) async fn start() -> Self {
        let sign = |audience: &str, email: &str| {
            let mut claims = claims(SystemClock.wall());
            (claims["aud"], claims["email"]) = (audience.into(), email.into());
            Key::one().token(&claims)
        };
        Self(Server::builder().sign(sign).dispatching().start().await)
    }

    /// Returns a client whose tasks are sent to `url`.
    pub(crate) async fn client(&self, builder: ClientBuilder, url: &str) -> Result<Client> {
        let backend = CloudTasks::builder("local", "here")
            .endpoint(self.0.url())
            .anonymous()
            .dead_letter_queues();
        let backend = backend.http(url).service_account(ACCOUNT).audience(AUDIENCE).build().await?;
        let tasks = builder.build_push(backend)?;
        tasks.put_queue("greetings", QueueConfig::new()).await?;
        Ok(tasks)
    }

    /// Returns a verifier that accepts only this queue's tokens.
    pub(crate) fn verifier(&self) -> Result<Oidc> {
        Ok(oidc(Published::keys(&[Key::one()])).build()?)
    }

    /// Runs until the process ends.
    pub(crate) async fn run(self) {
        std::future::pending::<()>().await;
    }
}
