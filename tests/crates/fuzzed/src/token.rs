//! Tokens of strangers: the first byte chooses between a token as it stands and the claims of one that is signed rightly.

use gae_tasks_tests_push::issuer::{judge, judge_payload};

pub(super) fn check(bytes: &[u8]) {
    let Some((choice, rest)) = bytes.split_first() else { return };
    if choice % 2 == 0 {
        assert!(!judge(rest), "a token that nobody signed is believed");
    } else {
        // Whatever the claims say; that it comes through them is all there is to see.
        judge_payload(rest);
    }
}
