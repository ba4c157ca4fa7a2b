//! The real program under load while things go wrong around it, beside an account of our own of what it acknowledged.
//!
//! A few rounds are part of every test run; `make soak` plays many. `FOOTFALL_SOAK_ROUNDS` says how many kills,
//! `FOOTFALL_SEED` repeats what a failed run printed. What each found is told on standard error.

mod backup;
mod burst;
mod checkpoint;
mod clock_jumps;
mod disk;
mod image;
mod kills;
mod load;
mod log_damage;
mod overload;
mod retention;
mod shim;
mod shutdown;

pub use image::{copy, copy_at_once};

use std::fmt::Display;
use std::io::Write;

/// How often a fault is played that a test run plays `few` times.
pub fn rounds(few: u32) -> u32 {
    std::env::var("FOOTFALL_SOAK_ROUNDS").map_or(few, |text| text.parse().expect("a number of rounds"))
}

/// The seed of this run; a new one each time, unless one is asked for.
pub fn seed() -> u64 {
    let seed = std::env::var("FOOTFALL_SEED").map_or_else(|_| rand::random(), |text| text.parse().expect("a seed"));
    tell(format!("FOOTFALL_SEED={seed}"));
    seed
}

/// Past the test runner, which keeps what a passing test prints to itself.
pub fn tell(line: impl Display) {
    std::io::stderr().write_all(format!("soak: {line}\n").as_bytes()).unwrap();
}
