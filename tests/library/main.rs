//! Tests of the library that need no server: `make unittest` runs them, too.
//!
//! ```text
//! distribution   every key on the server that other clients choose for it
//! balance        even shares, and few keys that move when a server joins or leaves
//! key_argument   any text as a key argument of the script
//! fuzz_corpus    the inputs that the fuzzer has kept
//! structure      dependencies that point down, fences, length of files
//! layout         our copies of Kamailio's structures, as a C compiler sees them
//! values         what other clients have stored, as these read it
//! ```

mod balance;
mod distribution;
mod fuzz_corpus;
mod key_argument;
mod layout;
mod structure;
mod values;
