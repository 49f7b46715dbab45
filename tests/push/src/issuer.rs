//! An issuer of tokens: its keys (for tests only, see `keys/`), its tokens, and the endpoint of its
//! public keys.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use gae_tasks::backend::BoxFuture;
use gae_tasks::push::verify::{
    FetchedKeys, KeySource, Oidc, OidcBuilder, Refused, Verified, Verify,
};
use gae_tasks::testing::ManualClock;
use gae_tasks::{BoxError, Clock, Timestamp};
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, EncodingKey};
use serde_json::{Value, json};

/// The issuer's name.
pub const ISSUER: &str = "https://issuer.test";
/// The audience of the tokens.
pub const AUDIENCE: &str = "https://worker.test";
/// The account that the tokens name.
pub const ACCOUNT: &str = "queue@project.iam.gserviceaccount.com";

/// A key pair of the issuer.
#[derive(Debug, Clone)]
pub struct Key {
    id: &'static str,
    private: EncodingKey,
}

impl Key {
    /// The key that signs tokens by default.
    pub fn one() -> Self {
        Self::read("one", include_bytes!("../keys/one.pem"))
    }

    /// The next key, or the key of another issuer.
    pub fn two() -> Self {
        Self::read("two", include_bytes!("../keys/two.pem"))
    }

    fn read(id: &'static str, pem: &[u8]) -> Self {
        Self { id, private: EncodingKey::from_rsa_pem(pem).expect("a key for tests") }
    }

    /// Returns the public key, as a JWK.
    pub fn public(&self) -> Value {
        let jwk = Jwk::from_encoding_key(&self.private, Algorithm::RS256).expect("a public key");
        let mut jwk = serde_json::to_value(jwk).expect("JSON");
        jwk["kid"] = json!(self.id);
        jwk["use"] = json!("sig");
        jwk
    }

    /// Returns a token with these claims.
    pub fn token(&self, claims: &Value) -> String {
        self.sign(&json!({ "alg": "RS256", "typ": "JWT", "kid": self.id }), claims)
    }

    /// Returns a token with this header and these claims, signed by RS256 whatever the header says.
    pub fn sign(&self, header: &Value, claims: &Value) -> String {
        let signed = format!("{}.{}", part(header.to_string()), part(claims.to_string()));
        let signature =
            jsonwebtoken::crypto::sign(signed.as_bytes(), &self.private, Algorithm::RS256);
        format!("{signed}.{}", signature.expect("a signature"))
    }
}

/// Returns a token that names a key of this id, with these claims and an arbitrary signature.
pub fn forged(id: &str, claims: &Value) -> String {
    let header = json!({ "alg": "RS256", "typ": "JWT", "kid": id }).to_string();
    format!("{}.{}.{}", part(header), part(claims.to_string()), part([7; 256]))
}

/// Encodes bytes as a part of a token.
pub fn part(bytes: impl AsRef<[u8]>) -> String {
    base64::Engine::encode(&base64::engine::general_purpose::URL_SAFE_NO_PAD, bytes)
}

/// Returns the claims of a valid token issued at `now`, as in Google's tokens.
pub fn claims(now: Timestamp) -> Value {
    let now = now.as_micros() / 1_000_000;
    json!({
        "iss": ISSUER, "aud": AUDIENCE, "email": ACCOUNT, "email_verified": true,
        "sub": "1234567890", "azp": "1234567890", "iat": now, "exp": now + 3_600,
    })
}

/// Returns a valid token issued now.
pub fn good_token() -> String {
    Key::one().token(&claims(gae_tasks::SystemClock.wall()))
}

/// Returns a JWK set of these keys.
pub fn jwks(keys: &[Key]) -> String {
    json!({ "keys": keys.iter().map(Key::public).collect::<Vec<_>>() }).to_string()
}

/// Returns a verifier that expects the claims of [`claims`].
pub fn oidc(keys: impl KeySource) -> OidcBuilder {
    Oidc::issued_by(ISSUER, keys).audience(AUDIENCE).service_account(ACCOUNT)
}

/// The response of an issuer to a request for its keys.
#[derive(Debug, Clone)]
pub enum Answer {
    /// This body, fresh for ten minutes.
    Keys(String),
    /// Status 500.
    Failure,
    /// No response.
    Nothing,
    /// A source that panics.
    Panic,
}

/// The published keys of an issuer, with a response that can be changed and a count of requests.
/// Clones are the same issuer.
#[derive(Debug, Clone)]
pub struct Published {
    answer: Arc<Mutex<Answer>>,
    fetches: Arc<AtomicUsize>,
}

impl Published {
    /// Returns an issuer that publishes `keys`.
    pub fn keys(keys: &[Key]) -> Self {
        Self::answering(Answer::Keys(jwks(keys)))
    }

    /// Returns an issuer that responds with `answer`.
    pub fn answering(answer: Answer) -> Self {
        Self { answer: Arc::new(Mutex::new(answer)), fetches: Arc::default() }
    }

    /// Responds with `answer` from now on.
    pub fn answer(&self, answer: Answer) {
        *self.answer.lock().unwrap_or_else(PoisonError::into_inner) = answer;
    }

    /// Returns the number of requests.
    pub fn fetches(&self) -> usize {
        self.fetches.load(Ordering::SeqCst)
    }

    fn asked(&self) -> Answer {
        self.fetches.fetch_add(1, Ordering::SeqCst);
        self.answer.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Starts an endpoint on a local socket that responds after `delay`, and returns its URL.
    pub async fn serve(&self, delay: Duration) -> String {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("http://{}/certs", listener.local_addr().expect("an address"));
        let router = Router::new().route("/certs", get(answer)).with_state((self.clone(), delay));
        tokio::spawn(async move { axum::serve(listener, router).await });
        url
    }
}

impl KeySource for Published {
    fn fetch(&self) -> BoxFuture<'_, Result<FetchedKeys, BoxError>> {
        let answer = self.asked();
        Box::pin(async move {
            match answer {
                Answer::Keys(jwks) => {
                    Ok(FetchedKeys::new(jwks).with_max_age(Duration::from_secs(600)))
                }
                Answer::Failure => Err("the endpoint is down".into()),
                Answer::Nothing => std::future::pending().await,
                Answer::Panic => panic!("a source that panics, on purpose"),
            }
        })
    }
}

async fn answer(State((published, delay)): State<(Published, Duration)>) -> Response {
    let answer = published.asked();
    tokio::time::sleep(delay).await;
    match answer {
        Answer::Keys(jwks) => ([("cache-control", "public, max-age=600")], jwks).into_response(),
        Answer::Failure | Answer::Panic => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
        Answer::Nothing => std::future::pending().await,
    }
}

/// Returns the head of a request with this header.
pub fn request(name: &str, value: &[u8]) -> http::request::Parts {
    let mut headers = HeaderMap::new();
    let value = http::HeaderValue::from_bytes(value).expect("a value of a header");
    headers
        .insert(http::HeaderName::from_bytes(name.as_bytes()).expect("a name of a header"), value);
    let mut parts =
        http::Request::post("/_cb/deferred/app/greet").body(()).expect("a request").into_parts().0;
    parts.headers = headers;
    parts
}

/// Returns the verdict of `verify` on a request with this token.
pub async fn ask(verify: &impl Verify, token: &str) -> Result<Verified, Refused> {
    verify.verify(&request("authorization", format!("Bearer {token}").as_bytes())).await
}

/// Passes any bytes as a token to a verifier with known keys, for fuzzing; returns whether the
/// token was accepted.
///
/// The clock stands still at [`ManualClock::new`]'s moment, so that a corpus does not expire. Bytes
/// that cannot be in a header are skipped.
pub fn judge(token: &[u8]) -> bool {
    static VERIFIER: LazyLock<(tokio::runtime::Runtime, Oidc)> = LazyLock::new(|| {
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        let oidc = oidc(Published::keys(&[Key::one()]))
            .clock(ManualClock::new())
            .build()
            .expect("a verifier");
        (runtime, oidc)
    });
    let value = [b"Bearer ", token].concat();
    if http::HeaderValue::from_bytes(&value).is_err() {
        return false;
    }
    let (runtime, oidc) = &*VERIFIER;
    runtime.block_on(oidc.verify(&request("authorization", &value))).is_ok()
}

/// Passes any bytes as the payload of a correctly signed token to the same verifier.
pub fn judge_payload(payload: &[u8]) -> bool {
    static KEY: LazyLock<Key> = LazyLock::new(Key::one);
    let header = json!({ "alg": "RS256", "kid": KEY.id }).to_string();
    let signed = format!("{}.{}", part(header), part(payload));
    let signature = jsonwebtoken::crypto::sign(signed.as_bytes(), &KEY.private, Algorithm::RS256);
    judge(format!("{signed}.{}", signature.expect("a signature")).as_bytes())
}
