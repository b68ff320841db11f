//! What the fuzzer has found worth keeping, by the rules of its targets: each input once, in `make test`.

use std::fs;
use std::path::Path;

#[path = "../fuzz/rules/item.rs"]
mod item;
#[path = "../fuzz/rules/reply.rs"]
mod reply;

use super::key_argument::rules as key;

/// Checks every input of a target. Returns how many there are.
fn replay(target: &str, check: impl Fn(&[u8])) -> usize {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/seeds");
    let inputs = fs::read_dir(folder.join(target)).expect("the folder of the target");
    let mut count = 0;
    for input in inputs {
        let path = input.expect("an input").path();
        println!("{}", path.display());
        check(&fs::read(&path).expect("an input"));
        count += 1;
    }
    count
}

#[test]
fn every_answer_keeps_the_rules() {
    assert!(replay("reply", reply::check) > 50);
}

#[test]
fn every_key_argument_keeps_the_rules() {
    let check = |input: &[u8]| {
        if let Ok(text) = str::from_utf8(input) {
            key::check(text);
        }
    };
    assert!(replay("key", check) > 10);
}

#[test]
fn every_item_keeps_the_rules() {
    assert!(replay("item", item::check) > 50);
}
