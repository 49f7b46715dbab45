//! Servers that ask a client for a certificate: instead of a password, or beside one.

use gae_tasks::{Client, Error};
use gae_tasks_tests_postgres::{Certificate, Cluster, Database};
use tokio::sync::OnceCell;

use crate::stage::{
    ask_for_passwords, assert_says, let_work, nothing, of_ann, refused, role, texts,
};

/// A cluster that asks all clients for a certificate of an authority, and all but `ann` for a
/// password too.
struct Strict {
    cluster: Cluster,
    server: Certificate,
    authority: Certificate,
}

async fn strict() -> &'static Strict {
    static STRICT: OnceCell<Strict> = OnceCell::const_new();
    STRICT
        .get_or_init(async || {
            let server = Certificate::of_a_server().await;
            let authority = Certificate::of_an_authority().await;
            let cluster = Cluster::with_tls_of_clients(&server, &authority).await;
            let rules = "hostssl all ann 127.0.0.1/32 cert\nhostssl all all 127.0.0.1/32 \
                         scram-sha-256 clientcert=verify-full\nlocal all all trust\n";
            ask_for_passwords(&cluster, rules).await;
            Strict { cluster, server, authority }
        })
        .await
}

impl Strict {
    /// Returns a database with two roles that may work in it, and a URL of each: `ann`, whose
    /// password is a wrong one, and another one.
    async fn roles(&self) -> (Database, [(String, String); 2]) {
        let database = self.cluster.database().await;
        let other = role(&database, "").await;
        let_work(&database, "ann").await;
        let ann = ("ann".to_owned(), of_ann(&database, "another-s3cret"));
        (database, [ann, other])
    }

    /// Adds to a URL whom the client believes, and its own certificate.
    fn by(&self, url: &str, own: Option<&Certificate>) -> String {
        let own = own.map(|own| format!("&sslcert={}&sslkey={}", own.in_url(), own.key_in_url()));
        let server = self.server.in_url();
        format!("{url}?sslmode=verify-full&sslrootcert={server}{}", own.unwrap_or_default())
    }
}

fn assert_hides_the_key(error: &Error, certificate: &Certificate) {
    let (all, secrets) = (texts(error), certificate.secrets());
    assert!(!secrets.is_empty());
    for secret in secrets {
        assert!(!all.contains(&secret), "the key is in {all}");
    }
}

#[tokio::test]
async fn a_certificate_of_the_role_lets_it_in() {
    let strict = strict().await;
    let (_database, roles) = strict.roles().await;
    for (role, url) in roles {
        let own = strict.authority.of_a_client(&role).await;
        let tasks = Client::open(&strict.by(&url, Some(&own))).await;
        let tasks = tasks.unwrap_or_else(|error| panic!("{role}: {}", texts(&error)));
        nothing::defer().on(&tasks).await.unwrap();
        assert_eq!(tasks.drain().await.unwrap(), 1, "{role}");
    }
}

#[tokio::test]
async fn a_certificate_that_is_missing_is_asked_for() {
    let strict = strict().await;
    let (_database, roles) = strict.roles().await;
    for (role, url) in roles {
        let error = refused(&strict.by(&url, None)).await;
        assert_says(&error, &[role.as_str(), "asks for a certificate", "`sslcert`", "is missing"]);
        assert!(texts(&error).contains("valid client certificate"), "{}", texts(&error));
    }
}

#[tokio::test]
async fn a_certificate_of_another_authority_is_told_from_that_of_the_server() {
    let (strict, other) = (strict().await, Certificate::of_an_authority().await);
    let (_database, roles) = strict.roles().await;
    for (role, url) in roles {
        let own = other.of_a_client(&role).await;
        let error = refused(&strict.by(&url, Some(&own))).await;
        let says = ["cannot reach", "does not accept the certificate of this program", "`sslkey`"];
        assert_says(&error, &says);
        assert!(texts(&error).contains("fatal alert"), "{}", texts(&error));
        assert_hides_the_key(&error, &own);
    }
}

#[tokio::test]
async fn a_certificate_of_another_role_is_refused() {
    let strict = strict().await;
    let (_database, roles) = strict.roles().await;
    let own = strict.authority.of_a_client("bob").await;
    for (role, url) in roles {
        let error = refused(&strict.by(&url, Some(&own))).await;
        assert_says(&error, &[role.as_str(), "names another user", "`pg_hba.conf`"]);
        // The server says that of the password if it asks for one too.
        assert!(texts(&error).contains("authentication failed"), "{}", texts(&error));
        assert_hides_the_key(&error, &own);
    }
}

#[tokio::test]
async fn a_key_of_another_certificate_is_named_and_not_shown() {
    let strict = strict().await;
    let (_database, [(role, url), _]) = strict.roles().await;
    let own = strict.authority.of_a_client(&role).await;
    let other = strict.authority.of_a_client(&role).await;
    let url = strict.by(&url, Some(&own)).replace(&own.key_in_url(), &other.key_in_url());
    let error = refused(&url).await;
    assert_says(&error, &["no key that belongs to its certificate", "`sslkey`"]);
    for certificate in [&own, &other] {
        assert_hides_the_key(&error, certificate);
    }
}
