//! The required claims of a token, row by row.

use std::time::Duration;

use gae_tasks::push::verify::{Oidc, Verify};
use gae_tasks_tests_push::issuer::{
    ACCOUNT, AUDIENCE, ISSUER, Key, Published, ask, claims, part, request,
};
use serde_json::{Value, json};

use super::stage;

/// Returns the verdict on a token with claims changed by `change`.
async fn judged(change: impl FnOnce(&mut Value)) -> Result<String, String> {
    let (oidc, clock, _) = stage();
    let mut claims = claims(clock.time());
    change(&mut claims);
    let answer = ask(&oidc, &Key::one().token(&claims)).await;
    answer.map(|verified| verified.subject.unwrap()).map_err(|refused| refused.to_string())
}

#[track_caller]
fn assert_refused(answer: Result<String, String>, reason: &str) {
    let refused = answer.expect_err(reason);
    assert!(refused.contains(reason), "{refused}");
}

fn seconds(claims: &Value, name: &str) -> i64 {
    claims[name].as_i64().unwrap()
}

fn without(name: &'static str) -> impl FnOnce(&mut Value) {
    move |claims| {
        claims.as_object_mut().unwrap().remove(name).unwrap();
    }
}

#[tokio::test]
async fn a_good_token_is_believed_and_tells_the_account() {
    assert_eq!(judged(|_| {}).await.unwrap(), ACCOUNT);
}

#[tokio::test]
async fn an_audience_among_others_is_ours_too() {
    judged(|claims| claims["aud"] = json!(["https://other.test", AUDIENCE])).await.unwrap();
}

#[tokio::test]
async fn several_audiences_and_accounts_can_be_expected() {
    let (_, clock, published) = stage();
    let oidc =
        Oidc::issued_by(ISSUER, published).audience("a").audience(AUDIENCE).clock(clock.clone());
    let oidc = oidc.service_account("first@x.test").service_account(ACCOUNT).build().unwrap();
    ask(&oidc, &Key::one().token(&claims(clock.time()))).await.unwrap();
}

#[tokio::test]
async fn another_audience_is_refused_in_whatever_form() {
    for audience in [
        json!("https://other.test"),
        json!("https://worker.test/"),
        json!(""),
        json!([]),
        json!(["https://other.test"]),
        json!([AUDIENCE, 7]),
        json!(7),
        json!({ AUDIENCE: true }),
        Value::Null,
    ] {
        assert_refused(judged(|claims| claims["aud"] = audience).await, "audience");
    }
    assert_refused(judged(without("aud")).await, "audience");
}

#[tokio::test]
async fn another_issuer_is_refused() {
    for issuer in [
        json!("https://accounts.google.com"),
        json!("issuer.test"),
        json!(""),
        json!([ISSUER]),
        Value::Null,
    ] {
        assert_refused(judged(|claims| claims["iss"] = issuer).await, "issuer");
    }
    assert_refused(judged(without("iss")).await, "issuer");
}

#[tokio::test]
async fn google_is_believed_with_and_without_a_scheme() {
    // Both issuers pass the issuer's check and fail at the audience; any other issuer fails the
    // first check.
    let oidc = Oidc::google().audience(AUDIENCE).service_account(ACCOUNT).build().unwrap();
    for (issuer, reason) in [
        ("https://accounts.google.com", "audience"),
        ("accounts.google.com", "audience"),
        ("http://accounts.google.com", "another issuer"),
        ("https://accounts.google.com.evil.test", "another issuer"),
    ] {
        let token = Key::one().token(&json!({ "iss": issuer, "aud": "x" }));
        let refused = ask(&oidc, &token).await.unwrap_err().to_string();
        assert!(refused.contains(reason), "{issuer}: {refused}");
    }
}

#[tokio::test]
async fn an_expired_token_is_believed_within_the_leeway_only() {
    judged(|claims| claims["exp"] = json!(seconds(claims, "iat") - 5)).await.unwrap();
    judged(|claims| claims["exp"] = json!(seconds(claims, "iat") - 9)).await.unwrap();
    for late in [10, 11, 3_600] {
        assert_refused(
            judged(|claims| claims["exp"] = json!(seconds(claims, "iat") - late)).await,
            "expired",
        );
    }
}

#[tokio::test]
async fn a_token_of_the_future_is_believed_within_the_leeway_only() {
    for name in ["iat", "nbf"] {
        judged(|claims| claims[name] = json!(seconds(claims, "iat") + 10)).await.unwrap();
        assert_refused(
            judged(|claims| claims[name] = json!(seconds(claims, "iat") + 11)).await,
            name,
        );
    }
}

#[tokio::test]
async fn a_token_expires_while_the_clock_moves() {
    let (oidc, clock, _) = stage();
    let token = Key::one().token(&claims(clock.time()));
    clock.advance(Duration::from_secs(3_609));
    ask(&oidc, &token).await.unwrap();
    clock.advance(Duration::from_secs(1));
    ask(&oidc, &token).await.unwrap_err();
}

#[tokio::test]
async fn times_may_have_fractions_and_must_be_numbers() {
    judged(|claims| claims["exp"] = json!(seconds(claims, "iat") as f64 - 9.5)).await.unwrap();
    judged(|claims| claims["exp"] = json!(1e300)).await.unwrap();
    assert_refused(judged(|claims| claims["exp"] = json!(-1e300)).await, "expired");
    assert_refused(judged(|claims| claims["iat"] = json!(u64::MAX)).await, "iat");
    for name in ["exp", "iat", "nbf"] {
        for value in [json!("1767225600"), json!([1]), json!(true), Value::Null] {
            assert_refused(judged(|claims| claims[name] = value).await, name);
        }
    }
}

#[tokio::test]
async fn a_token_without_its_times_is_refused() {
    assert_refused(judged(without("exp")).await, "no `exp`");
    assert_refused(judged(without("iat")).await, "no `iat`");
}

#[tokio::test]
async fn only_verified_mails_of_expected_accounts_may_call() {
    assert_refused(
        judged(|claims| claims["email"] = json!("stranger@gmail.com")).await,
        "may not call",
    );
    assert_refused(
        judged(|claims| claims["email"] = json!(ACCOUNT.to_uppercase())).await,
        "may not call",
    );
    assert_refused(judged(without("email")).await, "no e-mail");
    assert_refused(judged(|claims| claims["email"] = json!([ACCOUNT])).await, "no e-mail");
    for value in [json!(false), json!("true"), json!(1), Value::Null] {
        assert_refused(judged(|claims| claims["email_verified"] = value).await, "not verified");
    }
    assert_refused(judged(without("email_verified")).await, "not verified");
}

#[tokio::test]
async fn a_signature_of_another_key_is_refused() {
    let (oidc, clock, _) = stage();
    let claims = claims(clock.time());
    let token = Key::two().sign(&json!({ "alg": "RS256", "kid": "one" }), &claims);
    assert!(ask(&oidc, &token).await.unwrap_err().to_string().contains("signature"));

    let good = Key::one().token(&claims);
    let (signed, signature) = good.rsplit_once('.').unwrap();
    for signature in
        ["", "AAAA", "!", &signature[1..], &format!("{signature}AA"), "SIGNATURE_REMOVED_BY_GOOGLE"]
    {
        assert!(ask(&oidc, &format!("{signed}.{signature}")).await.is_err(), "{signature}");
    }
    let mut other = claims.clone();
    other["sub"] = json!("changed");
    let header = good.split_once('.').unwrap().0;
    let forged = format!("{header}.{}.{signature}", part(other.to_string()));
    assert!(ask(&oidc, &forged).await.unwrap_err().to_string().contains("signature"));
    ask(&oidc, &good).await.unwrap();
}

#[tokio::test]
async fn other_algorithms_are_refused_before_any_key_is_fetched() {
    let (oidc, clock, published) = stage();
    let claims = claims(clock.time());
    for header in [
        json!({ "alg": "none", "kid": "one" }),
        json!({ "alg": "HS256", "kid": "one" }),
        json!({ "alg": "rs256", "kid": "one" }),
        json!({ "alg": "RS512", "kid": "one" }),
        json!({ "alg": "PS256", "kid": "one" }),
        json!({ "alg": ["RS256"], "kid": "one" }),
        json!({ "kid": "one" }),
    ] {
        let refused = ask(&oidc, &Key::one().sign(&header, &claims)).await.unwrap_err().to_string();
        assert!(refused.contains("RS256"), "{header}: {refused}");
    }
    // Signed with the public key as an HMAC secret: the classic confusion of algorithms.
    let secret = jsonwebtoken::EncodingKey::from_secret(
        Key::one().public()["n"].as_str().unwrap().as_bytes(),
    );
    let mut header = jsonwebtoken::Header::new(jsonwebtoken::Algorithm::HS256);
    header.kid = Some("one".to_owned());
    let confused = jsonwebtoken::encode(&header, &claims, &secret).unwrap();
    assert!(ask(&oidc, &confused).await.is_err());
    let nothing =
        format!("{}.{}.", part(r#"{"alg":"none","kid":"one"}"#), part(claims.to_string()));
    assert!(ask(&oidc, &nothing).await.is_err());
    assert_eq!(published.fetches(), 0);
}

#[tokio::test]
async fn a_header_without_a_sound_key_id_is_refused_before_any_key_is_fetched() {
    let (oidc, clock, published) = stage();
    for id in [Value::Null, json!(""), json!(1), json!(["one"]), json!("k".repeat(257))] {
        let token = Key::one().sign(&json!({ "alg": "RS256", "kid": id }), &claims(clock.time()));
        assert!(ask(&oidc, &token).await.unwrap_err().to_string().contains("kid"), "{id}");
    }
    let token = Key::one().sign(&json!({ "alg": "RS256" }), &claims(clock.time()));
    assert!(ask(&oidc, &token).await.is_err());
    let critical = json!({ "alg": "RS256", "kid": "one", "crit": ["b64"], "b64": false });
    assert!(ask(&oidc, &Key::one().sign(&critical, &claims(clock.time()))).await.is_err());
    assert_eq!(published.fetches(), 0);
}

#[tokio::test]
async fn malformed_headers_are_refused_before_any_key_is_fetched() {
    let (oidc, clock, published) = stage();
    let good = Key::one().token(&claims(clock.time()));
    let deep = part(format!("{}{}", "[".repeat(3_000), "]".repeat(3_000)));
    let many = format!("Bearer {good}.{good}");
    let long = format!("Bearer {}", "a".repeat(1_000_000));
    for value in [
        "",
        "Bearer",
        "Bearer ",
        "Bearer .",
        "Bearer ..",
        "Bearer ...",
        "Basic YTpi",
        &good,
        &many,
        &long,
    ] {
        assert!(oidc.verify(&request("authorization", value.as_bytes())).await.is_err());
    }
    for token in [format!("{deep}.{deep}.a"), format!("{}.{}.a", part("null"), part("7"))] {
        assert!(ask(&oidc, &token).await.is_err());
    }
    assert!(oidc.verify(&request("authorization", b"Bearer \xff\xfe")).await.is_err());
    let mut twice = request("authorization", format!("Bearer {good}").as_bytes());
    twice.headers.append("authorization", "Bearer a.b.c".parse().unwrap());
    assert!(oidc.verify(&twice).await.unwrap_err().to_string().contains("more than once"));
    assert_eq!(published.fetches(), 0);
}

#[tokio::test]
async fn claims_that_fail_cost_no_fetch() {
    let (oidc, clock, published) = stage();
    let mut other = claims(clock.time());
    other["aud"] = json!("https://other.test");
    ask(&oidc, &Key::one().token(&other)).await.unwrap_err();
    assert_eq!(published.fetches(), 0);
}

#[tokio::test]
async fn the_scheme_is_read_in_any_case() {
    let (oidc, clock, _) = stage();
    let token = Key::one().token(&claims(clock.time()));
    oidc.verify(&request("authorization", format!("bearer  {token}").as_bytes())).await.unwrap();
    oidc.verify(&request("authorization", format!("BEARER {token}").as_bytes())).await.unwrap();
}

#[tokio::test]
async fn the_header_of_serverless_callers_is_read_only_when_set() {
    let (oidc, clock, published) = stage();
    let token = Key::one().token(&claims(clock.time()));
    let mut serverless =
        request("x-serverless-authorization", format!("Bearer {token}").as_bytes());
    assert!(oidc.verify(&serverless).await.is_err());

    let oidc = gae_tasks_tests_push::issuer::oidc(published)
        .clock(clock)
        .serverless_authorization()
        .build()
        .unwrap();
    oidc.verify(&serverless).await.unwrap();
    serverless.headers.insert("authorization", "Basic YTpi".parse().unwrap());
    oidc.verify(&serverless).await.unwrap();
    // `Authorization: Bearer` takes precedence.
    serverless.headers.insert("authorization", "Bearer a.b.c".parse().unwrap());
    assert!(oidc.verify(&serverless).await.is_err());
}

#[tokio::test]
async fn a_refusal_holds_no_token_and_no_line_break() {
    let (oidc, clock, _) = stage();
    let mut claims = claims(clock.time());
    claims["aud"] = json!(format!("a\nlevel=error {}", "x".repeat(5_000)));
    let token = Key::one().token(&claims);
    let refused = ask(&oidc, &token).await.unwrap_err().to_string();
    assert!(!refused.contains('\n') && refused.len() < 500, "{refused}");
    assert!(token.split('.').all(|part| !refused.contains(part)));
}

#[test]
fn what_is_missing_is_told_all_at_once() {
    let error = Oidc::google()
        .leeway(Duration::from_secs(301))
        .refresh_interval(Duration::ZERO)
        .build()
        .unwrap_err();
    let text = error.to_string();
    for part in ["audience", "service_account", "leeway", "refresh interval"] {
        assert!(text.contains(part), "{text}");
    }
    let odd = Oidc::google().audience(AUDIENCE).service_account("nobody").build().unwrap_err();
    assert!(odd.to_string().contains("`nobody` is not an e-mail"), "{odd}");
    assert!(gae_tasks_tests_push::issuer::oidc(Published::keys(&[])).build().is_ok());
}
