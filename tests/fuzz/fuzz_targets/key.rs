//! Cuts any text as a key argument of the script, and checks the [rules](rules::check).
//!
//! `cargo +nightly fuzz run --fuzz-dir tests/fuzz key -- -dict=tests/fuzz/key.dict -max_len=6000`

#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../rules/key.rs"]
mod rules;

fuzz_target!(|text: &str| rules::check(text));
