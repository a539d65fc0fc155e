//! The engine on a world in memory. Random cases are drawn from fixed seeds: what fails once fails
//! always.

mod apply;
mod diff;
mod fake;
mod leftovers;
mod plan;
mod survey;
mod turns;
mod walk;

/// Chance that repeats itself (Knuth's MMIX generator).
pub struct Dice(u64);

impl Dice {
    pub fn new(seed: u64) -> Self {
        let mut dice = Self(seed);
        dice.below(2);
        dice
    }

    /// A number from 0 to `limit - 1`.
    pub fn below(&mut self, limit: usize) -> usize {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % limit
    }

    pub fn one_in(&mut self, times: usize) -> bool {
        self.below(times) == 0
    }
}
