//! Keys fetched by HTTP from a slow endpoint.

use std::time::{Duration, Instant};

use gae_tasks::push::verify::{KeyEndpoint, KeySource, Oidc};
use gae_tasks::{Clock, SystemClock};
use gae_tasks_tests_push::issuer::{Answer, Key, Published, ask, claims, forged, good_token, oidc};
use tokio::task::JoinSet;

/// Returns a verifier with keys from an endpoint that responds after 50 ms.
async fn at_an_endpoint(published: &Published) -> Oidc {
    let url = published.serve(Duration::from_millis(50)).await;
    oidc(KeyEndpoint::new(&url).unwrap()).build().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn fifty_tokens_at_once_on_a_cold_cache_pass_with_one_fetch() {
    let published = Published::keys(&[Key::one()]);
    let oidc = at_an_endpoint(&published).await;
    let token = good_token();
    let mut callers = JoinSet::new();
    for _ in 0..50 {
        let (oidc, token) = (oidc.clone(), token.clone());
        callers.spawn(async move { ask(&oidc, &token).await.unwrap() });
    }
    assert_eq!(callers.join_all().await.len(), 50);
    assert_eq!(published.fetches(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn every_good_token_passes_while_a_stranger_floods_unknown_key_ids() {
    let published = Published::keys(&[Key::one()]);
    let oidc = at_an_endpoint(&published).await;
    let token = good_token();
    let mut callers = JoinSet::new();
    for stranger in 0..4 {
        let oidc = oidc.clone();
        callers.spawn(async move {
            for count in 0..100 {
                let forged = forged(&format!("{stranger}-{count}"), &claims(SystemClock.wall()));
                ask(&oidc, &forged).await.unwrap_err();
            }
        });
    }
    for _ in 0..8 {
        let (oidc, token) = (oidc.clone(), token.clone());
        callers.spawn(async move {
            for _ in 0..200 {
                ask(&oidc, &token).await.unwrap();
                tokio::task::yield_now().await;
            }
        });
    }
    let began = Instant::now();
    callers.join_all().await;
    // One fetch at the beginning, and one in ten seconds.
    let most = 1 + began.elapsed().as_secs() as usize / 10;
    assert!(published.fetches() <= most, "{} fetches", published.fetches());
}

#[tokio::test]
async fn an_answer_that_is_no_success_or_too_large_is_a_failure() {
    let published = Published::answering(Answer::Failure);
    let endpoint = KeyEndpoint::new(&published.serve(Duration::ZERO).await).unwrap();
    assert!(endpoint.fetch().await.unwrap_err().to_string().contains("500"));
    published.answer(Answer::Keys(" ".repeat(300 * 1024)));
    assert!(endpoint.fetch().await.unwrap_err().to_string().contains("bytes"));
    published.answer(Answer::Keys("{}".to_owned()));
    let fetched = endpoint.fetch().await.unwrap();
    assert_eq!((fetched.jwks, fetched.max_age), (b"{}".to_vec(), Some(Duration::from_secs(600))));
}

/// An issuer on another host, as in docker-compose.
#[tokio::test]
async fn keys_come_by_http_from_another_host_where_that_is_allowed() {
    let published = Published::keys(&[Key::one()]);
    // An address of this machine that `new` does not recognize as local.
    let url = published.serve(Duration::ZERO).await.replace("127.0.0.1", "0.0.0.0");
    KeyEndpoint::new(&url).unwrap_err();
    let oidc = oidc(KeyEndpoint::allow_http(&url).unwrap()).build().unwrap();
    ask(&oidc, &good_token()).await.unwrap();
}

#[tokio::test]
async fn nobody_at_the_endpoint_is_a_refusal() {
    let port =
        tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
    let endpoint = KeyEndpoint::new(&format!("http://127.0.0.1:{port}/certs")).unwrap();
    let oidc = oidc(endpoint).build().unwrap();
    let refused = ask(&oidc, &good_token()).await.unwrap_err().to_string();
    assert!(refused.contains("could not be fetched"), "{refused}");
}
