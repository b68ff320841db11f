//! Feeds the decoder of each form of values with any item, and checks the [rules](rules::check).
//!
//! `cargo +nightly fuzz run --fuzz-dir tests/fuzz item -- -dict=tests/fuzz/item.dict -max_len=6000`

#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../rules/item.rs"]
mod rules;

fuzz_target!(|input: &[u8]| rules::check(input));
