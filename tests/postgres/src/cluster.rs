//! A cluster as tests use it: shared by a program, or a test's own.

use std::process;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};

use nix::sys::signal::Signal;

use crate::certificate::Certificate;
use crate::database::Database;
use crate::server::{Server, blocking};

/// A throwaway PostgreSQL server, which takes up to 200 connections through a socket and TCP.
///
/// Superusers need no password. Dropping it stops the server and removes its data.
#[derive(Clone, Debug)]
pub struct Cluster {
    server: Arc<Server>,
}

impl Cluster {
    /// Returns the cluster that the tests of this program share. Nobody restarts it.
    ///
    /// # Panics
    ///
    /// Without a PostgreSQL server on this machine, or if the server does not start.
    pub async fn shared() -> &'static Cluster {
        static SHARED: OnceLock<Cluster> = OnceLock::new();
        blocking(|| SHARED.get_or_init(|| Cluster::create(&[]))).await
    }

    /// Starts a cluster that a test may restart and crash.
    ///
    /// # Panics
    ///
    /// As [`shared`](Self::shared).
    pub async fn own() -> Cluster {
        Self::with(&[]).await
    }

    /// Starts a cluster with settings that others do not want, by their names in
    /// `postgresql.conf`.
    ///
    /// # Panics
    ///
    /// As [`shared`](Self::shared), or if the server does not know a setting.
    pub async fn with(settings: &'static [(&'static str, &'static str)]) -> Cluster {
        blocking(|| Self::create(settings)).await
    }

    /// Starts a cluster that offers TLS, by a certificate that must outlive it.
    ///
    /// # Panics
    ///
    /// As [`shared`](Self::shared).
    pub async fn with_tls(certificate: &Certificate) -> Cluster {
        Self::create_with_tls(certificate, None).await
    }

    /// As [`with_tls`](Self::with_tls), and believes the certificates of clients that this
    /// authority has signed.
    ///
    /// # Panics
    ///
    /// As [`shared`](Self::shared).
    pub async fn with_tls_of_clients(server: &Certificate, authority: &Certificate) -> Cluster {
        Self::create_with_tls(server, Some(authority)).await
    }

    async fn create_with_tls(server: &Certificate, authority: Option<&Certificate>) -> Cluster {
        let (file, key) = (server.file(), server.key());
        let authority = authority.map(Certificate::file).unwrap_or_default();
        blocking(move || {
            Self::create(&[
                ("ssl", "on"),
                ("ssl_cert_file", file.as_str()),
                ("ssl_key_file", key.as_str()),
                // Without one, nobody is asked for a certificate.
                ("ssl_ca_file", authority.as_str()),
            ])
        })
        .await
    }

    fn create(settings: &[(&str, &str)]) -> Cluster {
        Self::of(Arc::new(Server::create(settings)))
    }

    pub(crate) fn of(server: Arc<Server>) -> Cluster {
        Self { server }
    }

    /// Creates an empty database of a fresh name.
    ///
    /// # Panics
    ///
    /// If the server does not answer.
    pub async fn database(&self) -> Database {
        static CREATED: AtomicU32 = AtomicU32::new(0);
        let number = CREATED.fetch_add(1, Ordering::Relaxed);
        let name = format!("test_{}_{number}", process::id());
        let create = format!("CREATE DATABASE {name} TEMPLATE template0");
        let created = self.execute("postgres", &create).await;
        created.unwrap_or_else(|error| panic!("no database was created: {error}"));
        self.named(&name)
    }

    /// Returns a database that is there already: `postgres`, or one that a test created.
    pub fn named(&self, database: &str) -> Database {
        Database::new(&self.server, database)
    }

    /// As [`Database::url`].
    pub fn url(&self, database: &str) -> String {
        self.named(database).url()
    }

    /// As [`Database::tcp_url`].
    pub fn tcp_url(&self, database: &str) -> String {
        self.named(database).tcp_url()
    }

    /// Returns the port on 127.0.0.1. It stays the same over all starts.
    pub fn port(&self) -> u16 {
        self.server.port()
    }

    /// As [`Database::execute`].
    pub async fn execute(&self, database: &str, sql: &str) -> Result<u64, sqlx::Error> {
        self.named(database).execute(sql).await
    }

    /// As [`Database::terminate_backends`].
    pub async fn terminate_backends(&self, database: &str) -> Result<u64, sqlx::Error> {
        self.named(database).terminate_backends().await
    }

    /// Stops the server in order, if it runs: connections end, transactions roll back.
    pub async fn stop(&self) {
        self.end(Signal::SIGINT).await;
    }

    /// Starts the server if it is stopped, and waits until it takes connections.
    ///
    /// # Panics
    ///
    /// If the server does not start.
    pub async fn start(&self) {
        let server = self.server.clone();
        blocking(move || server.start()).await;
    }

    /// Stops the server in order and starts it again.
    ///
    /// # Panics
    ///
    /// If the server does not start.
    pub async fn restart(&self) {
        self.stop().await;
        self.start().await;
    }

    /// Ends the server at once, as in `pg_ctl stop -m immediate`, and starts it again: it
    /// recovers from its log.
    ///
    /// # Panics
    ///
    /// If the server does not start.
    pub async fn crash(&self) {
        self.end(Signal::SIGQUIT).await;
        self.start().await;
    }

    async fn end(&self, signal: Signal) {
        let server = self.server.clone();
        blocking(move || server.stop(signal)).await;
    }
}
