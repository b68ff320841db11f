//! Feeds a session with any bytes, and checks the [rules](rules::check).
//!
//! `cargo +nightly fuzz run --fuzz-dir tests/fuzz reply -- -dict=tests/fuzz/reply.dict -max_len=6000`

#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../rules/reply.rs"]
mod rules;

fuzz_target!(|input: &[u8]| rules::check(input));
