//! Memory is the model: the same random life, lived on another backend, gives the same answers at every step, whatever
//! fails on the way; and nothing that was acknowledged is missing when the backend is opened again.
//!
//! A life that fails is printed as the steps that are left of it after proptest has shortened it; `PROPTEST_RNG_SEED`
//! and the seed it prints live it again.

#![cfg(feature = "sqlite")]

mod life;
mod step;
mod world;

use proptest::prelude::*;
use proptest_state_machine::prop_state_machine;

use life::Life;

prop_state_machine! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn another_backend_lives_the_same_life(sequential 1..60 => Life);
}
