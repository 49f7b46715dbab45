//! Compile tests: the functions that the attribute rejects, with its errors, and the functions that it accepts.

use trybuild::TestCases;

// In a test of their own, trybuild checks all of these in one build, without linking.
#[test]
fn refused() {
    TestCases::new().compile_fail("fail/*/*.rs");
}

#[test]
fn accepted() {
    TestCases::new().pass("pass/*.rs");
}
