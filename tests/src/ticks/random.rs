//! Numbers of a test that can be repeated.

use std::time::SystemTime;

/// A sequence of numbers that follows from its seed (SplitMix64).
#[derive(Debug)]
pub(super) struct Random(u64);

impl Random {
    /// Creates the sequence of the seed in `TICKS_SEED`, or of another one each time; prints it.
    pub(super) fn seeded() -> Self {
        let seed = match std::env::var("TICKS_SEED") {
            Ok(seed) => seed.parse().expect("TICKS_SEED is a number"),
            Err(_) => {
                let nanos = SystemTime::UNIX_EPOCH.elapsed().map_or(0, |since| since.as_nanos());
                u64::try_from(nanos % u128::from(u64::MAX)).unwrap_or_default()
            }
        };
        println!("seed {seed}: run again with TICKS_SEED={seed}");
        Self(seed)
    }

    /// Returns a number below `end`.
    pub(super) fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % end
    }
}
