//! The cost of verifying a token whose key is known, compared with the bare verification of its RSA
//! signature by the same library. Rounds are interleaved.
//!
//! ```text
//! cargo bench -p gae-tasks --features oidc --bench oidc [-- TOKENS]
//! ```

use std::time::{Duration, Instant, SystemTime};

use gae_tasks::BoxError;
use gae_tasks::backend::BoxFuture;
use gae_tasks::push::verify::{FetchedKeys, KeySource, Oidc, Verify};
use jsonwebtoken::jwk::{Jwk, JwkSet};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header};

const ROUNDS: usize = 5;

/// A key for tests only.
const KEY: &[u8] = include_bytes!("../../tests/push/keys/one.pem");

#[derive(Debug)]
struct Keys(Vec<u8>);

impl KeySource for Keys {
    fn fetch(&self) -> BoxFuture<'_, Result<FetchedKeys, BoxError>> {
        Box::pin(async { Ok(FetchedKeys::new(self.0.clone())) })
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let mut arguments = std::env::args().skip(1).filter(|argument| !argument.starts_with("--"));
    let tokens = arguments.next().and_then(|argument| argument.parse().ok()).unwrap_or(20_000);
    let key = EncodingKey::from_rsa_pem(KEY).unwrap();
    let mut public = Jwk::from_encoding_key(&key, Algorithm::RS256).unwrap();
    public.common.key_id = Some("one".to_owned());
    let bare_key = DecodingKey::from_jwk(&public).unwrap();
    let token = token(&key);
    let oidc = oidc(JwkSet { keys: vec![public] });
    let request = http::Request::post("/").header("authorization", format!("Bearer {token}"));
    let request = request.body(()).unwrap().into_parts().0;
    assert_eq!(oidc.verify(&request).await.unwrap().by, "OIDC");

    let (mut bare, mut ours) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let (signed, signature) = token.rsplit_once('.').unwrap();
        let began = Instant::now();
        for _ in 0..tokens {
            let verified = jsonwebtoken::crypto::verify(
                signature,
                signed.as_bytes(),
                &bare_key,
                Algorithm::RS256,
            );
            assert!(verified.unwrap());
        }
        bare.push(began.elapsed());
        let began = Instant::now();
        for _ in 0..tokens {
            assert!(oidc.verify(&request).await.is_ok());
        }
        ours.push(began.elapsed());
    }
    println!(
        "{ROUNDS} rounds of {tokens} tokens of {} bytes, a key of 2,048 bits; microseconds a token",
        token.len()
    );
    for (name, rounds) in [("RSA alone", bare), ("Oidc", ours)] {
        let each = |round: &Duration| round.as_secs_f64() * 1e6 / f64::from(tokens);
        let (least, most) =
            (rounds.iter().min().map(each).unwrap(), rounds.iter().max().map(each).unwrap());
        println!("{name:<10} {least:>7.1} to {most:.1}");
    }
}

fn oidc(keys: JwkSet) -> Oidc {
    let keys = Keys(serde_json::to_vec(&keys).unwrap());
    let oidc =
        Oidc::issued_by("https://accounts.google.com", keys).audience("https://worker.example.com");
    oidc.service_account("queue@project.iam.gserviceaccount.com").build().unwrap()
}

/// Returns a token like Google's.
fn token(key: &EncodingKey) -> String {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
    let claims = serde_json::json!({
        "iss": "https://accounts.google.com", "aud": "https://worker.example.com",
        "azp": "104029387462910384756", "sub": "104029387462910384756",
        "email": "queue@project.iam.gserviceaccount.com", "email_verified": true,
        "iat": now, "exp": now + 3_600,
    });
    let mut header = Header::new(Algorithm::RS256);
    header.kid = Some("one".to_owned());
    jsonwebtoken::encode(&header, &claims, key).unwrap()
}
