//! What holds for every key argument of the script, and for every list of keys, whatever its text is.

use kamailio_memcached::internals::{KeyParts, cut_list};

/// The pool that is declared.
const POOL: &str = "calls";

/// Checks all rules for the argument `text`.
pub fn check(text: &str) {
    let is_pool = |name: &str| name == POOL;
    let parts = KeyParts::cut(text, is_pool).ok();
    if let Some(parts) = parts {
        check_parts(text, parts);
    }
    let without_lifetime = parts.filter(|parts| parts.expire.is_none());
    let key_alone = KeyParts::cut_key(text, is_pool).ok();
    assert_eq!(key_alone, without_lifetime, "the two ways to cut differ");

    if let Ok(keys) = cut_list(text) {
        check_list(text, &keys);
    }

    // Inside of parentheses nothing is cut.
    if !text.contains(['(', ')']) {
        let variable = format!("$x({text})");
        let whole = KeyParts::cut(&variable, is_pool).expect("a key");
        assert_eq!(
            (whole.pool, whole.key, whole.expire),
            (None, &variable[..], None)
        );
        assert_eq!(cut_list(&variable).ok(), Some(vec![&variable[..]]));
    }
}

fn check_parts(text: &str, parts: KeyParts<'_>) {
    assert!(parts.pool.is_none_or(|pool| pool == POOL), "not declared");
    assert!(!parts.key.is_empty());
    let in_order = [parts.pool, Some(parts.key), parts.expire]
        .into_iter()
        .flatten();
    // They are pieces of the text, in their order. Nothing is left out but blanks and `=>`.
    let mut rest = text;
    for (at, part) in in_order.enumerate() {
        assert_eq!(part, part.trim_matches(BLANKS), "blanks around a part");
        assert!(!has(part, "=>"), "a part could be cut further");
        rest = after(rest, part, if at > 0 { "=>" } else { "" });
    }
    assert_eq!(rest.trim_start_matches(BLANKS), "", "something is left out");
}

fn check_list(text: &str, keys: &[&str]) {
    let mut rest = text;
    for (at, key) in keys.iter().enumerate() {
        assert!(!key.is_empty());
        assert_eq!(*key, key.trim_matches(BLANKS), "blanks around a key");
        assert!(!has(key, ","), "a key could be cut further");
        rest = after(rest, key, if at > 0 { "," } else { "" });
    }
    assert_eq!(rest.trim_start_matches(BLANKS), "", "something is left out");
}

/// What follows this part in the text, in front of which there are only blanks and the separator.
fn after<'a>(text: &'a str, part: &str, separator: &str) -> &'a str {
    let text = text.trim_start_matches(BLANKS);
    let text = text.strip_prefix(separator).expect("the separator");
    let text = text.trim_start_matches(BLANKS);
    text.strip_prefix(part).expect("the part")
}

const BLANKS: [char; 2] = [' ', '\t'];

/// Whether there is such a separator outside of parentheses.
fn has(part: &str, separator: &str) -> bool {
    let depth_at = |at: usize| {
        part[..at]
            .chars()
            .fold(0_u32, |depth, letter| match letter {
                '(' => depth + 1,
                ')' => depth.saturating_sub(1),
                _ => depth,
            })
    };
    part.match_indices(separator)
        .any(|(at, _)| depth_at(at) == 0)
}
