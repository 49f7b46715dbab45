//! What the attribute refuses, and with which words; and what it must survive.

use trybuild::TestCases;

// On their own, these are checked all at once, and nothing of them is linked.
#[test]
fn refused() {
    TestCases::new().compile_fail("fail/*/*.rs");
}

#[test]
fn accepted() {
    TestCases::new().pass("pass/*.rs");
}
