//! Fetches the keys that an issuer publishes at a URL.

use std::time::Duration;

use http::header::{AGE, CACHE_CONTROL};
use http::{HeaderMap, StatusCode};
use reqwest::redirect::Policy;
use reqwest::{Client, Response, Url};

use super::{FetchedKeys, KeySource};
use crate::backend::BoxFuture;
use crate::error::Error;
use crate::outcome::BoxError;

/// The largest answer that is read; Google's has about 2 KiB.
const MAX_BYTES: usize = 256 * 1024;

/// Fetches a JWK set over HTTPS. `Cache-Control: max-age`, less `Age`, says how long the set is
/// fresh.
///
/// Redirects are not followed, and answers of more than 256 KiB are not read.
#[derive(Debug, Clone)]
pub struct KeyEndpoint {
    url: Url,
    client: Client,
}

impl KeyEndpoint {
    /// The URL of [Google's keys](https://accounts.google.com/.well-known/openid-configuration)
    /// (`jwks_uri`).
    pub const GOOGLE: &str = "https://www.googleapis.com/oauth2/v3/certs";

    /// Creates a source of the keys at `url`: `https`, or `http` on this machine (`localhost`,
    /// `127.0.0.1`, `[::1]`).
    ///
    /// # Errors
    /// [`Error::Misconfigured`] for any other URL, or if the machine's certificates cannot be read.
    pub fn new(url: &str) -> Result<Self, Error> {
        let parsed = parse(url)?;
        let is_here = matches!(parsed.host_str(), Some("localhost" | "127.0.0.1" | "[::1]"));
        if parsed.scheme() == "http" && !is_here {
            return Err(wrong(
                "keys must be fetched over `https` or from this machine, as anyone who can change \
                 them can forge tokens. For a local issuer in a network of its own, use \
                 `KeyEndpoint::allow_http(..)`"
                    .to_owned(),
            ));
        }
        Self::at(parsed)
    }

    /// Creates a source of the keys at `url`, also over `http` from other machines: for an issuer
    /// in a private network, such as docker-compose's. Anyone who can answer in the issuer's place
    /// can forge tokens.
    ///
    /// # Errors
    /// [`Error::Misconfigured`] if the scheme of the URL is not `http` or `https`, or if the
    /// machine's certificates cannot be read.
    pub fn allow_http(url: &str) -> Result<Self, Error> {
        Self::at(parse(url)?)
    }

    fn at(url: Url) -> Result<Self, Error> {
        let is_https = url.scheme() == "https";
        let client = Client::builder().redirect(Policy::none()).https_only(is_https);
        // A proxy would resolve this machine, or names of the local network, elsewhere.
        let client = if is_https { client } else { client.no_proxy() };
        let client =
            client.build().map_err(|error| wrong(format!("HTTPS is not available: {error:?}")))?;
        Ok(Self { url, client })
    }
}

fn parse(url: &str) -> Result<Url, Error> {
    let parsed = Url::parse(url)
        .map_err(|error| wrong(format!("`{}` is not a URL: {error}", url.escape_debug())))?;
    if !matches!(parsed.scheme(), "http" | "https") {
        return Err(wrong(format!("`{}` is not an `https` or `http` URL", url.escape_debug())));
    }
    Ok(parsed)
}

fn wrong(problem: String) -> Error {
    Error::Misconfigured { problems: vec![format!("OIDC keys: {problem}")] }
}

impl KeySource for KeyEndpoint {
    fn fetch(&self) -> BoxFuture<'_, Result<FetchedKeys, BoxError>> {
        Box::pin(async move {
            let response = self.client.get(self.url.clone()).send().await?;
            if response.status() != StatusCode::OK {
                return Err(format!("the answer is {}", response.status()).into());
            }
            let max_age = max_age(response.headers());
            Ok(FetchedKeys { jwks: body(response).await?, max_age })
        })
    }
}

async fn body(mut response: Response) -> Result<Vec<u8>, BoxError> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        body.extend_from_slice(&chunk);
        if body.len() > MAX_BYTES {
            return Err(format!("the answer has more than {MAX_BYTES} bytes").into());
        }
    }
    Ok(body)
}

/// How long an answer is fresh (RFC 9111, 4.2); `None` if the answer does not say.
fn max_age(headers: &HeaderMap) -> Option<Duration> {
    let texts = headers.get_all(CACHE_CONTROL).iter().filter_map(|value| value.to_str().ok());
    let mut fresh = None;
    for directive in texts.flat_map(|text| text.split(',')) {
        let (name, value) = directive.split_once('=').unwrap_or((directive, ""));
        match name.trim().to_ascii_lowercase().as_str() {
            "no-store" | "no-cache" => return Some(Duration::ZERO),
            "max-age" => fresh = value.trim().trim_matches('"').parse().ok(),
            _ => {}
        }
    }
    let age = headers
        .get(AGE)
        .and_then(|value| value.to_str().ok()?.trim().parse().ok())
        .unwrap_or(0_u64);
    fresh.map(|seconds: u64| Duration::from_secs(seconds.saturating_sub(age)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fresh(headers: &[(&'static str, &'static str)]) -> Option<u64> {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, value.parse().unwrap());
        }
        max_age(&map).map(|age| age.as_secs())
    }

    #[test]
    fn cache_headers_say_how_long_keys_are_fresh() {
        let google = ("cache-control", "public, max-age=22594, must-revalidate, no-transform");
        assert_eq!(fresh(&[google]), Some(22_594));
        assert_eq!(fresh(&[google, ("age", "594")]), Some(22_000));
        assert_eq!(fresh(&[google, ("age", "99999")]), Some(0));
        assert_eq!(
            fresh(&[("cache-control", "private"), ("cache-control", "Max-Age=\"5\"")]),
            Some(5)
        );
        assert_eq!(fresh(&[("cache-control", "max-age=60, no-cache")]), Some(0));
        assert_eq!(fresh(&[("cache-control", "max-age=soon")]), None);
        assert_eq!(fresh(&[]), None);
    }

    #[test]
    fn keys_come_by_https_or_from_this_machine() {
        assert!(KeyEndpoint::new(KeyEndpoint::GOOGLE).is_ok());
        assert!(KeyEndpoint::new("http://127.0.0.1:8080/jwks").is_ok());
        for url in [
            "http://www.googleapis.com/oauth2/v3/certs",
            "http://localhost.example.com/",
            "file:///keys",
            "keys",
        ] {
            assert!(KeyEndpoint::new(url).is_err(), "{url}");
        }
        let error = KeyEndpoint::new("http://issuer:8080/jwks").unwrap_err().to_string();
        assert!(error.contains("KeyEndpoint::allow_http(..)"), "{error}");
    }

    #[test]
    fn keys_of_another_machine_come_by_http_only_where_that_is_allowed() {
        for url in ["http://issuer:8080/jwks", "https://issuer/jwks"] {
            assert!(KeyEndpoint::allow_http(url).is_ok(), "{url}");
        }
        for url in ["file:///keys", "ftp://issuer/keys", "keys"] {
            assert!(KeyEndpoint::allow_http(url).is_err(), "{url}");
        }
    }
}
