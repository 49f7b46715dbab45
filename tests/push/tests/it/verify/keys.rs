//! Keys are fetched when needed, never more often, and kept while a fetch fails.

use std::time::Duration;

use gae_tasks::testing::ManualClock;
use gae_tasks_tests_push::issuer::{Answer, Key, Published, ask, claims, forged, jwks, oidc, part};
use serde_json::json;

use super::stage;

fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// Returns a token issued now.
fn token(key: &Key, clock: &ManualClock) -> String {
    key.token(&claims(clock.time()))
}

/// Returns a token issued now that names a key of this id.
fn stranger(id: &str, clock: &ManualClock) -> String {
    forged(id, &claims(clock.time()))
}

/// Lets a background fetch go on.
async fn others_go_on() {
    for _ in 0..10 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn keys_are_fetched_with_the_first_token_and_not_again_while_fresh() {
    let (oidc, clock, published) = stage();
    assert_eq!(published.fetches(), 0);
    let good = token(&Key::one(), &clock);
    for _ in 0..100 {
        ask(&oidc, &good).await.unwrap();
    }
    clock.advance(secs(599));
    ask(&oidc.clone(), &token(&Key::one(), &clock)).await.unwrap();
    assert_eq!(published.fetches(), 1);
}

#[tokio::test]
async fn keys_past_their_age_are_used_while_new_ones_are_fetched() {
    let (oidc, clock, published) = stage();
    ask(&oidc, &token(&Key::one(), &clock)).await.unwrap();
    clock.advance(secs(601));
    published.answer(Answer::Nothing);
    for _ in 0..10 {
        ask(&oidc, &token(&Key::one(), &clock)).await.unwrap();
    }
    others_go_on().await;
    assert_eq!(published.fetches(), 2);
}

#[tokio::test]
async fn keys_long_past_their_age_are_fetched_first() {
    let (oidc, clock, published) = stage();
    ask(&oidc, &token(&Key::one(), &clock)).await.unwrap();
    published.answer(Answer::Keys(jwks(&[Key::two()])));
    clock.advance(secs(600 + 3_600));
    // The key was withdrawn meanwhile, so its tokens are no longer accepted.
    ask(&oidc, &token(&Key::one(), &clock)).await.unwrap_err();
    ask(&oidc, &token(&Key::two(), &clock)).await.unwrap();
    assert_eq!(published.fetches(), 2);
}

#[tokio::test]
async fn known_keys_are_used_on_while_the_endpoint_is_down() {
    for answer in [Answer::Failure, Answer::Panic, Answer::Keys("<html>".to_owned())] {
        let (oidc, clock, published) = stage();
        ask(&oidc, &token(&Key::one(), &clock)).await.unwrap();
        published.answer(answer);
        for hour in 1..=167 {
            clock.advance(secs(3_600));
            ask(&oidc, &token(&Key::one(), &clock))
                .await
                .unwrap_or_else(|refused| panic!("hour {hour}: {refused}"));
            others_go_on().await;
        }
        assert_eq!(published.fetches(), 168);
        // A week without a response of the issuer is too long.
        clock.advance(secs(3_600));
        ask(&oidc, &token(&Key::one(), &clock)).await.unwrap_err();
        published.answer(Answer::Keys(jwks(&[Key::one()])));
        clock.advance(secs(60));
        ask(&oidc, &token(&Key::one(), &clock)).await.unwrap();
    }
}

#[tokio::test]
async fn an_endpoint_that_is_down_is_asked_less_and_less_and_found_again() {
    let (oidc, clock, published) = stage();
    published.answer(Answer::Failure);
    for _ in 0..100 {
        let refused = ask(&oidc, &token(&Key::one(), &clock)).await.unwrap_err().to_string();
        assert!(refused.contains("could not be fetched"), "{refused}");
    }
    assert_eq!(published.fetches(), 1);
    for (pause, fetches) in [(1, 2), (2, 3), (4, 4), (8, 5), (16, 6), (32, 7), (60, 8), (60, 9)] {
        clock.advance(secs(pause) - Duration::from_micros(1));
        ask(&oidc, &token(&Key::one(), &clock)).await.unwrap_err();
        assert_eq!(published.fetches(), fetches - 1);
        clock.advance(Duration::from_micros(1));
        ask(&oidc, &token(&Key::one(), &clock)).await.unwrap_err();
        assert_eq!(published.fetches(), fetches);
    }
    published.answer(Answer::Keys(jwks(&[Key::one()])));
    clock.advance(secs(60));
    ask(&oidc, &token(&Key::one(), &clock)).await.unwrap();
}

#[tokio::test]
async fn garbage_is_no_key_set_and_odd_keys_are_passed_over() {
    let odd = json!({ "keys": [
        7, null, {}, { "kty": "EC", "kid": "one", "crv": "P-256", "x": "AA", "y": "AA" },
        { "kty": "RSA", "kid": "one", "n": "!", "e": "AQAB" },
        { "kty": "RSA", "kid": "one", "n": "AQAB", "e": "AQAB" },
        { "kty": "RSA", "n": Key::one().public()["n"], "e": "AQAB" },
        { "kty": "oct", "kid": "one", "k": "c2VjcmV0" },
        { "kty": "RSA", "kid": "short", "n": part([255; 128]), "e": "AQAB" },
    ] });
    let mut for_encryption = Key::one().public();
    for_encryption["use"] = json!("enc");
    let mut of_another_algorithm = Key::one().public();
    of_another_algorithm["alg"] = json!("PS256");
    let unusable = json!({ "keys": [for_encryption, of_another_algorithm] });
    for body in [
        "",
        "{",
        "[]",
        "{}",
        r#"{"keys":{}}"#,
        r#"{"keys":[]}"#,
        &odd.to_string(),
        &unusable.to_string(),
    ] {
        let (oidc, clock, published) = stage();
        published.answer(Answer::Keys(body.to_owned()));
        let refused = ask(&oidc, &token(&Key::one(), &clock)).await.unwrap_err().to_string();
        assert!(refused.contains("could not be fetched"), "{body}: {refused}");
    }
    let (oidc, clock, published) = stage();
    let mut mixed = odd;
    mixed["keys"].as_array_mut().unwrap().push(Key::one().public());
    published.answer(Answer::Keys(mixed.to_string()));
    ask(&oidc, &token(&Key::one(), &clock)).await.unwrap();
    let refused = ask(&oidc, &stranger("short", &clock)).await.unwrap_err().to_string();
    assert!(refused.contains("not among the issuer's keys"), "{refused}");
}

#[tokio::test]
async fn a_source_that_hangs_has_failed_after_five_seconds() {
    let (oidc, clock, published) = stage();
    published.answer(Answer::Nothing);
    let waiting = tokio::spawn({
        let (oidc, token) = (oidc.clone(), token(&Key::one(), &clock));
        async move { ask(&oidc, &token).await }
    });
    while clock.sleepers() == 0 {
        tokio::task::yield_now().await;
    }
    clock.advance(secs(5));
    assert!(waiting.await.unwrap().unwrap_err().to_string().contains("could not be fetched"));
    published.answer(Answer::Keys(jwks(&[Key::one()])));
    clock.advance(secs(1));
    ask(&oidc, &token(&Key::one(), &clock)).await.unwrap();
}

#[tokio::test]
async fn a_source_that_hangs_delays_known_keys_once_at_most_and_strangers_not_again() {
    let (oidc, clock, published) = stage();
    ask(&oidc, &token(&Key::one(), &clock)).await.unwrap();
    published.answer(Answer::Nothing);
    clock.advance(secs(2 * 3_600));
    let waiting = tokio::spawn({
        let (oidc, token) = (oidc.clone(), token(&Key::one(), &clock));
        async move { ask(&oidc, &token).await }
    });
    while clock.sleepers() == 0 {
        tokio::task::yield_now().await;
    }
    clock.advance(secs(5));
    waiting.await.unwrap().unwrap();
    // The next fetch hangs too; no request waits for it.
    clock.advance(secs(1));
    for id in 0..100 {
        ask(&oidc, &stranger(&id.to_string(), &clock)).await.unwrap_err();
        ask(&oidc, &token(&Key::one(), &clock)).await.unwrap();
    }
    others_go_on().await;
    assert_eq!(published.fetches(), 3);
}

#[tokio::test]
async fn a_caller_that_leaves_does_not_end_the_fetch_for_others() {
    let (oidc, clock, published) = stage();
    published.answer(Answer::Nothing);
    let token = token(&Key::one(), &clock);
    let first = tokio::spawn({
        let (oidc, token) = (oidc.clone(), token.clone());
        async move { ask(&oidc, &token).await }
    });
    while clock.sleepers() == 0 {
        tokio::task::yield_now().await;
    }
    first.abort();
    assert!(first.await.unwrap_err().is_cancelled());
    // The fetch is still in progress, so no second fetch starts.
    let second = tokio::spawn(async move { ask(&oidc, &token).await });
    others_go_on().await;
    assert_eq!(published.fetches(), 1);
    clock.advance(secs(5));
    second.await.unwrap().unwrap_err();
}

#[tokio::test]
async fn unknown_key_ids_cause_one_fetch_in_ten_seconds_however_many_come() {
    let (oidc, clock, published) = stage();
    ask(&oidc, &token(&Key::one(), &clock)).await.unwrap();
    for second in 0..60 {
        let good = token(&Key::one(), &clock);
        for stranger_id in 0..50 {
            ask(&oidc, &stranger(&format!("{second}-{stranger_id}"), &clock)).await.unwrap_err();
            ask(&oidc, &good).await.unwrap();
        }
        clock.advance(secs(1));
    }
    assert_eq!(published.fetches(), 6);
}

#[tokio::test]
async fn an_unknown_key_id_is_not_asked_for_again_for_half_a_minute() {
    let (oidc, clock, published) = stage();
    for (seconds, fetches) in [(0, 1), (10, 1), (10, 1), (9, 1), (1, 2)] {
        clock.advance(secs(seconds));
        ask(&oidc, &stranger("x", &clock)).await.unwrap_err();
        assert_eq!(published.fetches(), fetches);
    }
}

#[tokio::test]
async fn the_pause_between_fetches_can_be_set() {
    let (clock, published) = (ManualClock::new(), Published::keys(&[Key::one()]));
    let oidc =
        oidc(published.clone()).clock(clock.clone()).refresh_interval(secs(3)).build().unwrap();
    for id in ["a", "b", "c", "d"] {
        ask(&oidc, &stranger(id, &clock)).await.unwrap_err();
        ask(&oidc, &stranger(&id.repeat(2), &clock)).await.unwrap_err();
        clock.advance(secs(3));
    }
    assert_eq!(published.fetches(), 4);
}
