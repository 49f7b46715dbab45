//! Encrypted connections: who is believed, what is said where nobody is.

use std::time::Duration;

use gae_tasks::{Client, Error};
use gae_tasks_tests_postgres::{Certificate, Cluster, Database};
use tokio::sync::OnceCell;

use crate::stage::{
    PASSWORD, Worker, ask_for_passwords, assert_says, counted, counting, let_work, nothing, of_ann,
    refused, texts, until,
};

/// A cluster that lets `ann` in by TLS and her password only.
struct Secured {
    cluster: Cluster,
    own: Certificate,
    /// The certificate of nobody.
    other: Certificate,
}

async fn secured() -> &'static Secured {
    static SECURED: OnceCell<Secured> = OnceCell::const_new();
    SECURED
        .get_or_init(async || {
            let (own, other) = (Certificate::of_a_server().await, Certificate::of_a_server().await);
            let cluster = Cluster::with_tls(&own).await;
            let rules = "hostssl all ann 127.0.0.1/32 scram-sha-256\nhost all ann 127.0.0.1/32 \
                         reject\nlocal all all trust\n";
            ask_for_passwords(&cluster, rules).await;
            Secured { cluster, own, other }
        })
        .await
}

/// Returns the URL of the database for `ann`, with this `sslmode` and `sslrootcert`.
fn url(database: &Database, mode: &str, root: Option<&Certificate>) -> String {
    let root = root.map(|root| format!("&sslrootcert={}", root.in_url())).unwrap_or_default();
    format!("{}?sslmode={mode}{root}", of_ann(database, PASSWORD))
}

/// By a name that is not in the certificate.
fn by_another_name(url: &str) -> String {
    url.replace("@127.0.0.1:", "@localhost:")
}

/// Checks that a task runs, and that no connection of `ann` is plain.
async fn assert_works(database: &Database, url: &str) {
    let tasks = Client::open(url).await.unwrap_or_else(|error| panic!("{}", texts(&error)));
    nothing::defer().on(&tasks).await.unwrap();
    assert_eq!(tasks.drain().await.unwrap(), 1);
    let sessions = "FROM pg_stat_activity JOIN pg_stat_ssl USING (pid) WHERE usename = 'ann' AND \
                    datname = current_database()";
    let encrypted = format!("SELECT count(*) > 0 AND bool_and(ssl) {sessions}");
    assert!(database.value::<bool>(&encrypted).await.unwrap(), "a connection is not encrypted");
    assert!(!format!("{tasks:?}").contains(PASSWORD));
}

#[tokio::test]
async fn a_certificate_is_believed_as_far_as_sslmode_says() {
    let Secured { cluster, own, other } = secured().await;
    let database = cluster.database().await;
    let_work(&database, "ann").await;
    for (mode, root) in [
        ("prefer", None),
        ("require", None),
        // It is not looked at.
        ("require", Some(other)),
        ("verify-ca", Some(own)),
        ("verify-full", Some(own)),
    ] {
        assert_works(&database, &url(&database, mode, root)).await;
    }
    assert_works(&database, &by_another_name(&url(&database, "verify-ca", Some(own)))).await;
}

/// Counts the connections of `ann` that hear of other processes: what a listener asks last, once it
/// listens, is whether anything waits.
const LISTENERS: &str = "SELECT count(*) FROM pg_stat_activity JOIN pg_stat_ssl USING (pid) WHERE \
                         usename = 'ann' AND datname = current_database() AND ssl AND query = \
                         'SELECT EXISTS (SELECT FROM gae_tasks.waiting)'";

#[tokio::test]
async fn a_worker_hears_of_other_processes_over_tls() {
    let Secured { cluster, own, .. } = secured().await;
    for listens_elsewhere in [false, true] {
        let database = cluster.database().await;
        let_work(&database, "ann").await;
        let mut url = url(&database, "verify-full", Some(own));
        if listens_elsewhere {
            let encoded = url.replace('%', "%25").replace('&', "%26");
            url = format!("{url}&listen_url={encoded}");
        }
        let (tasks, runs) = counting(&url).await;
        // Nothing but what is heard wakes the worker.
        let worker = tasks.worker().queues(["counted"]).poll_interval(Duration::from_secs(3600));
        let worker = Worker::start(worker);
        let first = counted::defer().on(&tasks).await.unwrap().id;
        runs.all_ran_once(&tasks, &[first]).await;
        let hears = async || database.value::<i64>(LISTENERS).await.unwrap() == 1;
        until("a listener over TLS", hears).await;
        let (other, _) = counting(&url).await;
        let second = counted::defer().on(&other).await.unwrap().id;
        runs.all_ran_once(&tasks, &[first, second]).await;
        worker.end().await;
    }
}

#[tokio::test]
async fn a_certificate_that_is_not_believed_is_told_from_a_server_that_is_not_there() {
    let Secured { cluster, own, other } = secured().await;
    let database = cluster.database().await;
    for url in [
        url(&database, "verify-ca", Some(other)),
        url(&database, "verify-full", Some(other)),
        // Only the authorities that Mozilla lists.
        url(&database, "verify-ca", None),
        url(&database, "verify-full", None),
        by_another_name(&url(&database, "verify-full", Some(own))),
    ] {
        let error = refused(&url).await;
        assert_says(&error, &["cannot reach", "its certificate is not accepted", "sslrootcert"]);
        let all = texts(&error);
        assert!(all.contains("invalid peer certificate"), "{all}");
    }
}

#[tokio::test]
async fn the_certificate_of_an_authority_is_no_servers() {
    let own = Certificate::of_an_authority().await;
    let cluster = Cluster::with_tls(&own).await;
    let database = cluster.named("postgres");
    for mode in ["verify-ca", "verify-full"] {
        let error = refused(&url(&database, mode, Some(&own))).await;
        assert_says(&error, &["its certificate is not accepted", "`CA:TRUE`"]);
    }
}

#[tokio::test]
async fn a_server_without_tls_says_so_where_the_url_asks_for_it() {
    let database = crate::stage::database().await;
    let Secured { own, .. } = secured().await;
    for mode in ["require", "verify-ca", "verify-full"] {
        let error = refused(&url(&database, mode, Some(own))).await;
        assert_says(&error, &["cannot reach", "it offers no TLS", "`sslmode`"]);
    }
}

#[tokio::test]
async fn a_server_that_asks_for_tls_says_so_where_the_url_does_not() {
    let database = secured().await.cluster.database().await;
    for mode in ["disable", "allow"] {
        let error = refused(&url(&database, mode, None)).await;
        assert_says(&error, &["pg_hba.conf"]);
        assert!(texts(&error).contains("no encryption"), "{}", texts(&error));
    }
}

#[tokio::test]
async fn a_wrong_password_is_not_shown_by_tls_either() {
    let Secured { cluster, own, .. } = secured().await;
    let database = cluster.database().await;
    let right = url(&database, "verify-full", Some(own));
    let error = refused(&right.replace(PASSWORD, "another-s3cret")).await;
    assert_says(&error, &["ann", "the user or the password"]);
}

#[tokio::test]
async fn a_file_that_is_not_there_is_named() {
    let database = secured().await.cluster.database().await;
    for key in ["sslrootcert", "sslcert", "sslkey"] {
        let url = format!("{}&{key}=%2Fno%2Fsuch%2Ffile", url(&database, "verify-full", None));
        let error = refused(&url).await;
        assert!(matches!(error, Error::Url { .. }), "{error}");
        assert_says(&error, &[&format!("an `{key}` whose file cannot be read")]);
    }
}
