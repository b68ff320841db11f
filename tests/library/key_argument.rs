//! Any text as a key argument of the script: the rules that the fuzzer checks, too.

use proptest::prelude::*;

#[path = "../fuzz/rules/key.rs"]
pub mod rules;

/// Pieces that matter, and any others between them.
fn any_argument() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        4 => prop::sample::select(vec!["=>", "=", ">", ",", "(", ")", " ", "\t", "calls", "k", "60", "$var(x)"])
            .prop_map(str::to_owned),
        1 => ".{0,4}",
    ];
    prop::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]

    #[test]
    fn any_text_is_cut_by_the_rules(text in any_argument()) {
        rules::check(&text);
    }
}
