//! Fuzzes the verifier of tokens: the first byte chooses between a whole token and the claims of a
//! correctly signed token.

use gae_tasks_tests_push::issuer::{judge, judge_payload};

pub(super) fn check(bytes: &[u8]) {
    let Some((choice, rest)) = bytes.split_first() else { return };
    if choice % 2 == 0 {
        assert!(!judge(rest), "a token without a valid signature is accepted");
    } else {
        // The claims may be accepted or not: the verifier only must not panic.
        judge_payload(rest);
    }
}
