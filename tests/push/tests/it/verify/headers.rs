//! Verifiers that only check headers.

use gae_tasks::push::verify::{
    AnyOf, AppEngine, HeaderFamily, PlatformAuthenticated, Refused, SharedSecret, Verified, Verify,
};
use gae_tasks_tests_push::issuer::{ACCOUNT, Key, ask, claims, part, request};
use http::request::Parts;
use serde_json::json;

use super::stage;

const SECRET: &str = "correct horse battery staple";

async fn secret(verify: &SharedSecret, value: &[u8]) -> Result<Verified, Refused> {
    verify.verify(&request(SharedSecret::HEADER, value)).await
}

fn from_app_engine() -> Parts {
    let mut parts = request("x-appengine-queuename", b"default");
    parts.headers.insert("X-AppEngine-TaskName", "7".parse().unwrap());
    parts
}

#[test]
fn app_engine_is_found_only_where_its_environment_says_so() {
    let detect = |variables: &[(&str, &str)]| {
        let find = |name: &str| {
            variables.iter().find(|(other, _)| *other == name).map(|(_, value)| (*value).to_owned())
        };
        AppEngine::detect_in(find).is_ok()
    };
    assert!(detect(&[("GAE_ENV", "standard"), ("GAE_SERVICE", "default")]));
    assert!(detect(&[("GAE_ENV", "standard"), ("GAE_APPLICATION", "s~project")]));
    assert!(!detect(&[]));
    assert!(!detect(&[("GAE_ENV", "standard")]));
    assert!(!detect(&[("GAE_ENV", "standard"), ("GAE_SERVICE", "")]));
    assert!(!detect(&[("GAE_ENV", "localdev"), ("GAE_SERVICE", "default")]));
    assert!(!detect(&[("GAE_SERVICE", "default"), ("K_SERVICE", "worker")]));
    let error = AppEngine::detect().unwrap_err().to_string();
    assert!(error.contains("assume_headers_are_stripped") && error.contains("GAE_ENV"), "{error}");
}

#[tokio::test]
async fn tasks_of_app_engine_have_the_name_of_a_queue_and_of_a_task() {
    let verify = AppEngine::assume_headers_are_stripped();
    verify.verify(&from_app_engine()).await.unwrap();
    for name in ["x-appengine-queuename", "x-appengine-taskname"] {
        let mut parts = from_app_engine();
        parts.headers.insert(name, "".parse().unwrap());
        assert!(verify.verify(&parts).await.unwrap_err().to_string().contains(name));
        parts.headers.remove(name);
        assert!(verify.verify(&parts).await.unwrap_err().to_string().contains(name));
    }
    assert!(verify.verify(&request("x-cloudtasks-taskname", b"7")).await.is_err());
}

#[tokio::test]
async fn a_secret_is_compared_whole() {
    let verify = SharedSecret::new(SECRET).unwrap();
    assert_eq!(secret(&verify, SECRET.as_bytes()).await.unwrap().by, "shared secret");
    for value in [
        "",
        "correct horse battery stapl",
        "correct horse battery staplf",
        "Bearer correct horse battery staple",
    ] {
        let refused = secret(&verify, value.as_bytes()).await.unwrap_err().to_string();
        assert!(!refused.contains("horse"), "{refused}");
    }
    assert!(secret(&verify, b"\xff\xff").await.is_err());
    assert!(verify.verify(&request("x-other", SECRET.as_bytes())).await.is_err());
    let mut twice = request(SharedSecret::HEADER, SECRET.as_bytes());
    twice.headers.append(SharedSecret::HEADER, SECRET.parse().unwrap());
    assert!(verify.verify(&twice).await.is_err());
}

#[tokio::test]
async fn secrets_can_be_changed_without_a_pause() {
    let verify = SharedSecret::new(SECRET).unwrap().or("another secret, of next year").unwrap();
    secret(&verify, SECRET.as_bytes()).await.unwrap();
    secret(&verify, b"another secret, of next year").await.unwrap();
    secret(&verify, b"a third secret, of the year after").await.unwrap_err();
}

#[tokio::test]
async fn a_secret_may_come_in_another_header() {
    let verify = SharedSecret::new(SECRET).unwrap().header("X-Queue-Secret").unwrap();
    verify.verify(&request("x-queue-secret", SECRET.as_bytes())).await.unwrap();
    assert!(secret(&verify, SECRET.as_bytes()).await.is_err());
    let verify = verify.header("Authorization").unwrap();
    ask(&verify, SECRET).await.unwrap();
    assert!(verify.verify(&request("authorization", SECRET.as_bytes())).await.is_err());
    assert!(verify.header("a header").is_err());
}

#[test]
fn weak_secrets_are_refused_and_none_is_shown() {
    for secret in [
        "",
        "fifteen letters",
        " surrounded by spaces ",
        "ends\nin the middle of it",
        "ümlaute sind keine ASCII",
    ] {
        let error = SharedSecret::new(secret).unwrap_err().to_string();
        assert!(secret.is_empty() || !error.contains(secret), "{error}");
    }
    assert!(SharedSecret::new("x".repeat(1_025)).is_err());
    assert!(SharedSecret::new("sixteen letters!").is_ok());
    let shown = format!("{:?}", AnyOf::new().or(SharedSecret::new(SECRET).unwrap()));
    let bytes = format!("{:?}", SECRET.as_bytes());
    assert!(!shown.contains("horse") && !shown.contains(bytes.trim_matches(['[', ']'])), "{shown}");
}

/// Returns a token as passed on by Cloud Run.
fn unsigned(email: &str, verified: bool) -> String {
    let claims = json!({ "email": email, "email_verified": verified });
    format!(
        "{}.{}.SIGNATURE_REMOVED_BY_GOOGLE",
        part(r#"{"alg":"RS256"}"#),
        part(claims.to_string())
    )
}

#[tokio::test]
async fn what_the_platform_let_through_is_believed() {
    let verify = PlatformAuthenticated::whoever_gets_here_was_checked();
    assert_eq!(ask(&verify, &unsigned("who@x.test", false)).await.unwrap().by, "platform");
}

/// The platform replaces the signature of a token that it has checked: any other token came by
/// another way.
#[tokio::test]
async fn what_the_platform_has_not_checked_is_refused() {
    let platform = PlatformAuthenticated::whoever_gets_here_was_checked;
    for verify in [platform(), platform().service_account(ACCOUNT)] {
        verify.verify(&request("accept", b"*/*")).await.unwrap_err();
        let token = unsigned(ACCOUNT, true);
        ask(&verify, &token).await.unwrap();
        for signature in
            ["", "c2lnbmF0dXJl", "signature_removed_by_google", "SIGNATURE_REMOVED_BY_GOOGLE_"]
        {
            let token = token.replace("SIGNATURE_REMOVED_BY_GOOGLE", signature);
            let refused = ask(&verify, &token).await.unwrap_err().to_string();
            assert!(refused.contains("SIGNATURE_REMOVED_BY_GOOGLE"), "{refused}");
        }
    }
}

#[tokio::test]
async fn oidc_names_the_remedy_where_the_platform_has_removed_the_signature() {
    let (oidc, ..) = stage();
    let refused = ask(&oidc, &unsigned(ACCOUNT, true)).await.unwrap_err().to_string();
    assert!(
        refused.contains("PlatformAuthenticated::whoever_gets_here_was_checked()"),
        "{refused}"
    );
}

#[test]
fn the_platform_beside_others_needs_an_account() {
    let platform = PlatformAuthenticated::whoever_gets_here_was_checked;
    let secret = || SharedSecret::new(SECRET).unwrap();
    for good in [
        AnyOf::new().or(platform()),
        AnyOf::new().or(AnyOf::new().or(platform())),
        AnyOf::new().or(secret()).or(platform().service_account(ACCOUNT)),
    ] {
        assert_eq!(good.problem(true), None, "{good:?}");
    }
    let boxed: Box<dyn Verify> = Box::new(platform());
    for bad in [
        AnyOf::new().or(secret()).or(platform()),
        AnyOf::new().or(platform()).or(secret()),
        AnyOf::new().or(boxed).or(secret()),
        AnyOf::new().or(std::sync::Arc::new(platform())).or(secret()),
        AnyOf::new().or(AnyOf::new().or(platform()).or(secret())),
        AnyOf::new().or(AnyOf::new().or(platform())).or(secret()),
    ] {
        let problem = bad.problem(true).expect("the verifier is refused");
        assert!(
            problem.contains("`PlatformAuthenticated`") && problem.contains(".service_account("),
            "{problem}"
        );
    }
}

#[tokio::test]
async fn identity_that_is_there_twice_is_refused() {
    let verify = AppEngine::assume_headers_are_stripped();
    for name in ["x-appengine-queuename", "x-appengine-taskname"] {
        let mut parts = from_app_engine();
        parts.headers.append(name, "other".parse().unwrap());
        let refused = verify.verify(&parts).await.unwrap_err().to_string();
        assert!(refused.contains(name) && refused.contains("more than once"), "{refused}");
    }
}

#[tokio::test]
async fn each_verifier_names_the_headers_that_describe_the_task() {
    let app_engine = AppEngine::assume_headers_are_stripped();
    assert_eq!(
        app_engine.verify(&from_app_engine()).await.unwrap().headers,
        HeaderFamily::AppEngine
    );
    let verify = SharedSecret::new(SECRET).unwrap();
    assert_eq!(secret(&verify, SECRET.as_bytes()).await.unwrap().headers, HeaderFamily::CloudTasks);
    let mut parts = from_app_engine();
    parts.headers.insert(SharedSecret::HEADER, SECRET.parse().unwrap());
    assert_eq!(verify.verify(&parts).await.unwrap().headers, HeaderFamily::AppEngine);
    let platform = PlatformAuthenticated::whoever_gets_here_was_checked();
    let mut parts =
        request("authorization", format!("Bearer {}", unsigned(ACCOUNT, true)).as_bytes());
    parts.headers.extend(from_app_engine().headers);
    assert_eq!(platform.verify(&parts).await.unwrap().headers, HeaderFamily::CloudTasks);
}

#[tokio::test]
async fn the_platforms_token_must_be_of_the_account() {
    let verify = PlatformAuthenticated::whoever_gets_here_was_checked().service_account(ACCOUNT);
    assert_eq!(
        ask(&verify, &unsigned(ACCOUNT, true)).await.unwrap().subject.as_deref(),
        Some(ACCOUNT)
    );
    assert!(ask(&verify, &unsigned("other@x.test", true)).await.is_err());
    assert!(ask(&verify, &unsigned(ACCOUNT, false)).await.is_err());
    for token in ["", "a", "a.b", "a.b.c", "..", "a.!.c"] {
        assert!(ask(&verify, token).await.is_err());
    }
    assert!(verify.verify(&request("accept", b"*/*")).await.is_err());
}

#[tokio::test]
async fn the_token_that_the_platform_has_checked_is_the_one_that_is_read() {
    // If `X-Serverless-Authorization` is sent, Cloud Run checks only that header: `Authorization`
    // can have any value.
    let verify = PlatformAuthenticated::whoever_gets_here_was_checked().service_account(ACCOUNT);
    let mut forged =
        request("authorization", format!("Bearer {}", unsigned(ACCOUNT, true)).as_bytes());
    let other = format!("Bearer {}", unsigned("other@x.test", true));
    forged.headers.insert("x-serverless-authorization", other.parse().unwrap());
    assert!(verify.verify(&forged).await.is_err());
    let verify = verify.serverless_authorization();
    assert!(verify.verify(&forged).await.is_err());
    forged.headers.remove("x-serverless-authorization");
    verify.verify(&forged).await.unwrap();
}

#[tokio::test]
async fn the_first_that_is_convinced_decides() {
    let (oidc, clock, published) = stage();
    let verify = AnyOf::new().or(SharedSecret::new(SECRET).unwrap()).or(oidc);
    assert_eq!(
        verify.verify(&request(SharedSecret::HEADER, SECRET.as_bytes())).await.unwrap().by,
        "shared secret"
    );
    assert_eq!(published.fetches(), 0);
    assert_eq!(ask(&verify, &Key::one().token(&claims(clock.time()))).await.unwrap().by, "OIDC");
}

#[tokio::test]
async fn a_refusal_tells_the_reasons_of_all() {
    let (oidc, ..) = stage();
    let verify = AnyOf::new()
        .or(AppEngine::assume_headers_are_stripped())
        .or(SharedSecret::new(SECRET).unwrap())
        .or(oidc);
    let refused = verify.verify(&request("accept", b"*/*")).await.unwrap_err().to_string();
    for part in ["App Engine: no header", "shared secret: header", "OIDC token: no header"] {
        assert!(refused.contains(part), "{refused}");
    }
}

#[tokio::test]
async fn without_any_verifier_everything_is_refused() {
    assert!(AnyOf::new().is_empty());
    AnyOf::new().verify(&from_app_engine()).await.unwrap_err();
    let boxed: Vec<Box<dyn Verify>> = vec![Box::new(AppEngine::assume_headers_are_stripped())];
    AnyOf::from_iter(boxed).verify(&from_app_engine()).await.unwrap();
}
