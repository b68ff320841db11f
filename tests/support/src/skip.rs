//! `skip` says that a test is left out, because this machine lacks something.
//!
//! Such a test passes, and cargo shows nothing of what it has printed. So `MCT_SKIP` can name what may be missing:
//! words with commas between them, or `none`. If anything else is missing, the test fails.

use std::env;

/// A test, or a part of it, is left out for lack of `what`, a word for `MCT_SKIP`. `why` is for people.
///
/// # Panics
/// `MCT_SKIP` is set, and does not have that word.
#[track_caller]
pub fn skip(what: &str, why: &str) {
    let named = env::var("MCT_SKIP").unwrap_or_default();
    assert!(
        may_be_missing(what, &named),
        "{what}: {why}; with MCT_SKIP={named} that may not be missing"
    );
    println!("skipped: {what}: {why}");
}

fn may_be_missing(what: &str, named: &str) -> bool {
    named.is_empty() || named.split(',').any(|word| word.trim() == what)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn anything_may_be_missing_or_only_what_is_named() {
        assert!(may_be_missing("network", ""));
        assert!(may_be_missing("network", "names, network"));
        assert!(!may_be_missing("network", "networks,names"));
        assert!(!may_be_missing("network", "none"));
    }
}
