//! Finds a token in a header and splits it into its parts; nothing in the token is trusted yet.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::HeaderMap;
use http::header::HeaderName;
use serde_json::{Map, Value};

use super::Refused;

/// The header in which callers of Cloud Run send their token when the application needs
/// `Authorization`.
pub(super) const SERVERLESS_AUTHORIZATION: HeaderName =
    HeaderName::from_static("x-serverless-authorization");

/// The text with which Cloud Run replaces the signature of a token that it has checked. Source:
/// [authenticating
/// service-to-service](https://cloud.google.com/run/docs/authenticating/service-to-service).
pub(super) const REMOVED_SIGNATURE: &str = "SIGNATURE_REMOVED_BY_GOOGLE";

/// The longest header that is read, in bytes; Google's tokens have about 1,000.
pub(super) const MAX_HEADER_BYTES: usize = 8 * 1024;

/// A JSON object in a token.
pub(super) type Claims = Map<String, Value>;

/// Returns the token after `Bearer`; `None` if the header is missing or has another scheme.
pub(super) fn bearer<'a>(
    headers: &'a HeaderMap,
    name: &HeaderName,
) -> Result<Option<&'a str>, Refused> {
    let mut values = headers.get_all(name).iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(Refused::new(format!("header `{name}` occurs more than once")));
    }
    if value.len() > MAX_HEADER_BYTES {
        return Err(Refused::new(format!(
            "header `{name}` has more than {MAX_HEADER_BYTES} bytes"
        )));
    }
    let Ok(text) = value.to_str() else {
        return Err(Refused::new(format!("header `{name}` is not ASCII")));
    };
    let Some((scheme, token)) = text.split_once(' ') else { return Ok(None) };
    Ok(scheme.eq_ignore_ascii_case("bearer").then(|| token.trim()))
}

/// A token split into its parts: `header.claims.signature`.
// `PlatformAuthenticated` reads neither header nor signature.
#[cfg_attr(not(feature = "oidc"), allow(dead_code))]
pub(super) struct Unread<'a> {
    header: &'a str,
    claims: &'a str,
    /// The signed text: header and claims.
    pub(super) signed: &'a str,
    pub(super) signature: &'a str,
}

impl<'a> Unread<'a> {
    pub(super) fn cut(token: &'a str) -> Result<Self, Refused> {
        let odd = || Refused::new("the token does not have three parts");
        let (signed, signature) = token.rsplit_once('.').ok_or_else(odd)?;
        let (header, claims) = signed.split_once('.').ok_or_else(odd)?;
        if claims.contains('.') {
            return Err(odd());
        }
        Ok(Self { header, claims, signed, signature })
    }

    /// Whether the platform has checked the token and removed its signature.
    pub(super) fn is_checked_by_platform(&self) -> bool {
        self.signature == REMOVED_SIGNATURE
    }

    #[cfg(feature = "oidc")]
    pub(super) fn header(&self) -> Result<Claims, Refused> {
        object(self.header, "header")
    }

    pub(super) fn claims(&self) -> Result<Claims, Refused> {
        object(self.claims, "payload")
    }
}

fn object(part: &str, what: &str) -> Result<Claims, Refused> {
    let bytes =
        decoded(part).ok_or_else(|| Refused::new(format!("the token's {what} is not base64")))?;
    serde_json::from_slice(&bytes)
        .map_err(|_| Refused::new(format!("the token's {what} is not a JSON object")))
}

/// Decodes a part of a token.
pub(super) fn decoded(part: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(part).ok()
}

/// Service accounts that may call, by e-mail.
#[derive(Debug, Clone, Default)]
pub(super) struct Accounts(Vec<String>);

impl Accounts {
    pub(super) fn add(&mut self, email: String) {
        self.0.push(email);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The accounts that are not e-mail addresses.
    #[cfg(feature = "oidc")]
    pub(super) fn odd(&self) -> impl Iterator<Item = &String> {
        self.0.iter().filter(|email| !email.contains('@') || email.trim() != email.as_str())
    }

    /// Returns the token's e-mail, if it is verified and is one of these accounts.
    pub(super) fn check(&self, claims: &Claims) -> Result<String, Refused> {
        let Some(Value::String(email)) = claims.get("email") else {
            return Err(Refused::new("the token has no e-mail (`email`)"));
        };
        if claims.get("email_verified") != Some(&Value::Bool(true)) {
            return Err(Refused::new(format!(
                "the token's e-mail {} is not verified",
                shown(email)
            )));
        }
        if !self.0.contains(email) {
            return Err(Refused::new(format!("the token's account {} may not call", shown(email))));
        }
        Ok(email.clone())
    }
}

/// Formats a stranger's text for the log: one line of bounded length.
pub(super) fn shown(text: &str) -> String {
    const MAX_CHARS: usize = 200;
    match text.char_indices().nth(MAX_CHARS) {
        None => format!("{text:?}"),
        Some((end, _)) => format!("{:?}...", &text[..end]),
    }
}
