//! Issuers change their keys.

use std::time::Duration;

use gae_tasks_tests_push::issuer::{Answer, Key, ask, claims, forged, jwks};

use super::stage;

#[tokio::test]
async fn a_new_key_is_fetched_as_soon_as_a_token_names_it() {
    let (oidc, clock, published) = stage();
    let claims = claims(clock.time());
    ask(&oidc, &Key::one().token(&claims)).await.unwrap();
    published.answer(Answer::Keys(jwks(&[Key::one(), Key::two()])));
    clock.advance(Duration::from_secs(10));
    ask(&oidc, &Key::two().token(&claims)).await.unwrap();
    ask(&oidc, &Key::one().token(&claims)).await.unwrap();
    assert_eq!(published.fetches(), 2);
}

#[tokio::test]
async fn a_key_that_is_withdrawn_is_not_believed_after_the_next_fetch() {
    let (oidc, clock, published) = stage();
    let claims = claims(clock.time());
    ask(&oidc, &Key::one().token(&claims)).await.unwrap();
    published.answer(Answer::Keys(jwks(&[Key::two()])));
    clock.advance(Duration::from_secs(10));
    ask(&oidc, &Key::two().token(&claims)).await.unwrap();
    ask(&oidc, &Key::one().token(&claims)).await.unwrap_err();
}

#[tokio::test]
async fn a_key_id_that_was_unknown_is_known_once_it_is_published() {
    let (oidc, clock, published) = stage();
    let claims = claims(clock.time());
    ask(&oidc, &Key::two().token(&claims)).await.unwrap_err();
    published.answer(Answer::Keys(jwks(&[Key::one(), Key::two()])));
    // Another unknown id causes a fetch; the remembered refusal of this id does not matter then.
    clock.advance(Duration::from_secs(10));
    let stranger = forged("x", &claims);
    ask(&oidc, &stranger).await.unwrap_err();
    ask(&oidc, &Key::two().token(&claims)).await.unwrap();
}

#[tokio::test]
async fn a_key_that_is_published_ahead_is_there_in_the_middle_of_a_flood() {
    let (oidc, clock, published) = stage();
    published.answer(Answer::Keys(jwks(&[Key::one(), Key::two()])));
    for second in 0..100 {
        let claims = claims(clock.time());
        let stranger = forged(&second.to_string(), &claims);
        ask(&oidc, &stranger).await.unwrap_err();
        ask(&oidc, &Key::two().token(&claims)).await.unwrap();
        clock.advance(Duration::from_secs(1));
    }
    assert_eq!(published.fetches(), 10);
}
