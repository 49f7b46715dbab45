//! No request of a stranger causes a panic or is accepted.

use std::sync::LazyLock;

use gae_tasks::push::verify::{AnyOf, AppEngine, PlatformAuthenticated, SharedSecret, Verify};
use gae_tasks::testing::ManualClock;
use gae_tasks_tests_push::issuer::{ACCOUNT, Key, claims, judge, judge_payload, request};
use proptest::prelude::*;
use serde_json::Value;

static RUNTIME: LazyLock<tokio::runtime::Runtime> =
    LazyLock::new(|| tokio::runtime::Builder::new_current_thread().build().unwrap());

static GOOD: LazyLock<String> =
    LazyLock::new(|| Key::one().token(&claims(ManualClock::new().time())));

/// Bytes that are valid in a header.
fn header_bytes(most: usize) -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(
        prop_oneof![Just(b'\t'), Just(b'.'), 0x20..=0x7e_u8, 0x80..=0xff_u8],
        0..most,
    )
}

/// Bytes of base64.
fn base64_bytes() -> impl Strategy<Value = String> {
    "[A-Za-z0-9_.-]{0,500}"
}

/// Any JSON, as the value of a claim.
fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,20}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((".{0,8}", inner), 0..4)
                .prop_map(|pairs| pairs.into_iter().collect()),
        ]
    })
}

#[test]
fn the_good_token_that_others_are_made_of_is_good() {
    assert!(judge(GOOD.as_bytes()));
    assert!(judge_payload(claims(ManualClock::new().time()).to_string().as_bytes()));
}

proptest! {
    #[test]
    fn any_bytes_are_refused(
        bytes in header_bytes(2_000),
        text in base64_bytes(),
        payload in prop::collection::vec(any::<u8>(), 0..500),
    ) {
        prop_assert!(!judge(&bytes));
        prop_assert!(!judge(text.as_bytes()));
        prop_assert!(!judge_payload(&payload));
    }

    #[test]
    fn a_good_token_with_one_other_byte_is_refused(
        at in any::<prop::sample::Index>(),
        byte in 0x20..0x7f_u8,
    ) {
        let mut token = GOOD.clone().into_bytes();
        let at = at.index(token.len());
        prop_assume!(token[at] != byte);
        token[at] = byte;
        // A trailing space is not part of the token.
        prop_assume!(byte != b' ');
        prop_assert!(!judge(&token));
    }

    #[test]
    fn a_claim_of_any_kind_never_panics(
        name in prop::sample::select(vec![
            "iss",
            "aud",
            "exp",
            "iat",
            "nbf",
            "email",
            "email_verified",
        ]),
        value in any_json(),
    ) {
        let mut claims = claims(ManualClock::new().time());
        claims[name] = value.clone();
        let is_believed = judge_payload(claims.to_string().as_bytes());
        // Times can be valid by chance.
        prop_assert!(
            !is_believed || matches!(name, "exp" | "iat" | "nbf" | "email_verified"),
            "{name}: {value}"
        );
    }

    #[test]
    fn any_header_is_refused_by_all_verifiers(
        name in prop::sample::select(vec![
            "authorization",
            "x-serverless-authorization",
            "x-gae-tasks-secret",
        ]),
        bytes in header_bytes(500),
        is_bearer in any::<bool>(),
    ) {
        let value = if is_bearer { [b"Bearer ".as_slice(), &bytes].concat() } else { bytes };
        let verify = AnyOf::new()
            .or(AppEngine::assume_headers_are_stripped())
            .or(SharedSecret::new("correct horse battery staple").unwrap())
            .or(PlatformAuthenticated::whoever_gets_here_was_checked()
                .service_account(ACCOUNT)
                .serverless_authorization());
        prop_assert!(RUNTIME.block_on(verify.verify(&request(name, &value))).is_err());
    }
}
