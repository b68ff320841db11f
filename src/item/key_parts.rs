//! `KeyParts` are the parts of a key argument of the script, `[pool =>] key [=> expire]`.
//!
//! Only the text of the configuration is cut, never the value of a variable. So no caller can
//! choose a pool or a lifetime.

use std::fmt::Display;

use crate::quoted::quoted;

/// The parts of a key argument.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyParts<'a> {
    /// The declared pool that the argument names, if it names one.
    pub pool: Option<&'a str>,
    /// The text of the key, a format string. It is never empty.
    pub key: &'a str,
    /// The text of the lifetime, a format string or a number. If it is empty, the default is used.
    pub expire: Option<&'a str>,
}

/// Why a key argument is refused. Its `Display` is the text for the operator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadKey(String);

impl BadKey {
    /// Refuses an argument. `why` says the reason and what is accepted.
    pub(crate) fn because(why: String) -> Self {
        Self(why)
    }
}

impl std::fmt::Display for BadKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl<'a> KeyParts<'a> {
    /// Cuts `text` at every `=>` outside of parentheses, and drops the blanks around the parts. The
    /// first part is a pool if `is_pool` says so.
    ///
    /// # Errors
    /// [`BadKey`] for an empty key, for more than three parts, and for three parts of which the
    /// first is not a pool.
    pub fn cut(text: &'a str, is_pool: impl Fn(&str) -> bool) -> Result<Self, BadKey> {
        let parts = pieces(text, "=>");
        let text = quoted(text);
        let found = match parts[..] {
            [key] => Self {
                pool: None,
                key,
                expire: None,
            },
            [pool, key] if is_pool(pool) => Self {
                pool: Some(pool),
                key,
                expire: None,
            },
            [key, expire] => Self {
                pool: None,
                key,
                expire: Some(expire),
            },
            [pool, key, expire] if is_pool(pool) => Self {
                pool: Some(pool),
                key,
                expire: Some(expire),
            },
            [first, _, _] => {
                return Err(BadKey(format!(
                    "unknown pool {} in {text}; {FORM}",
                    quoted(first)
                )));
            }
            _ => return Err(BadKey(format!("too many '=>' in {text}; {FORM}"))),
        };
        found.with_key(&text, FORM)
    }

    /// Cuts an argument that has no lifetime, `[pool =>] key`, in the same way.
    ///
    /// # Errors
    /// [`BadKey`] for an empty key, for more than two parts, and for a first part that is not a pool.
    pub fn cut_key(text: &'a str, is_pool: impl Fn(&str) -> bool) -> Result<Self, BadKey> {
        let parts = pieces(text, "=>");
        let text = quoted(text);
        let (pool, key) = match parts[..] {
            [key] => (None, key),
            [pool, key] if is_pool(pool) => (Some(pool), key),
            [first, _] => {
                return Err(BadKey(format!(
                    "unknown pool {} in {text}; {KEY_FORM}",
                    quoted(first)
                )));
            }
            _ => return Err(BadKey(format!("too many '=>' in {text}; {KEY_FORM}"))),
        };
        let found = Self {
            pool,
            key,
            expire: None,
        };
        found.with_key(&text, KEY_FORM)
    }

    /// The same, unless its key is empty.
    fn with_key(self, text: &impl Display, form: &str) -> Result<Self, BadKey> {
        if self.key.is_empty() {
            return Err(BadKey(format!("no key in {text}; {form}")));
        }
        Ok(self)
    }
}

const FORM: &str = "accepted: key, key=>seconds, pool=>key, pool=>key=>seconds";
const KEY_FORM: &str = "accepted: key, pool=>key";

/// The keys of a list, `[pool =>] key, …`. It is cut at commas outside of parentheses, and the blanks
/// around the keys are dropped.
///
/// # Errors
/// [`BadKey`] for an empty key.
pub fn cut_list(text: &str) -> Result<Vec<&str>, BadKey> {
    let keys = pieces(text, ",");
    match keys.iter().any(|key| key.is_empty()) {
        true => Err(BadKey(format!("no key in {}; {LIST_FORM}", quoted(text)))),
        false => Ok(keys),
    }
}

const LIST_FORM: &str = "accepted: keys, or pool=>key, with commas between them";

/// The pieces of `text` between the separators that are outside of parentheses, without the blanks
/// around them.
fn pieces<'a>(text: &'a str, separator: &str) -> Vec<&'a str> {
    let mut found = Vec::new();
    let (mut depth, mut from, mut at) = (0usize, 0, 0);
    while let Some(byte) = text.as_bytes().get(at) {
        match byte {
            b'(' => depth += 1,
            b')' => depth = depth.saturating_sub(1),
            _ if depth == 0 && text.as_bytes()[at..].starts_with(separator.as_bytes()) => {
                found.push(&text[from..at]);
                at += separator.len();
                from = at;
                continue;
            }
            _ => {}
        }
        at += 1;
    }
    found.push(&text[from..]);
    let blanks_off = |piece: &'a str| piece.trim_matches([' ', '\t']);
    found.into_iter().map(blanks_off).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(text: &str) -> Result<(Option<&str>, &str, Option<&str>), String> {
        KeyParts::cut(text, |name| name == "calls")
            .map(|parts| (parts.pool, parts.key, parts.expire))
            .map_err(|bad| bad.to_string())
    }

    #[test]
    fn a_name_is_cut_outside_parentheses_only() {
        assert_eq!(cut("k"), Ok((None, "k", None)));
        assert_eq!(cut("k=>60"), Ok((None, "k", Some("60"))));
        assert_eq!(cut(" k => 60 "), Ok((None, "k", Some("60"))));
        assert_eq!(cut("$sht(a=>b)"), Ok((None, "$sht(a=>b)", None)));
        assert_eq!(cut("$(hdr(X){s.select,0,=>})=>$var(t)"), {
            Ok((None, "$(hdr(X){s.select,0,=>})", Some("$var(t)")))
        });
        assert_eq!(cut("a=b"), Ok((None, "a=b", None)));
        assert_eq!(cut("k=>"), Ok((None, "k", Some(""))));
    }

    #[test]
    fn a_declared_pool_is_recognised_in_front() {
        assert_eq!(cut("calls"), Ok((None, "calls", None)));
        assert_eq!(cut("calls=>k"), Ok((Some("calls"), "k", None)));
        assert_eq!(cut("calls => k => 5"), Ok((Some("calls"), "k", Some("5"))));
        assert_eq!(cut("other=>5"), Ok((None, "other", Some("5"))));
    }

    #[test]
    fn a_key_without_lifetime_has_at_most_a_pool_in_front() {
        let cut_key = |text| {
            let parts = KeyParts::cut_key(text, |name| name == "calls");
            let parts = parts.map(|parts| (parts.pool, parts.key));
            parts.map_err(|bad: BadKey| bad.to_string())
        };
        assert_eq!(cut_key("calls"), Ok((None, "calls")));
        assert_eq!(cut_key(" calls => k "), Ok((Some("calls"), "k")));
        assert_eq!(cut_key("$sht(a=>b)"), Ok((None, "$sht(a=>b)")));
        for (bad, why) in [
            ("k=>60", "unknown pool 'k' in 'k=>60'"),
            ("other=>k", "unknown pool 'other' in 'other=>k'"),
            ("calls=>k=>60", "too many '=>' in 'calls=>k=>60'"),
            ("calls=>", "no key in 'calls=>'"),
            (" ", "no key in ' '"),
        ] {
            let line = cut_key(bad).unwrap_err();
            assert_eq!(line, format!("{why}; accepted: key, pool=>key"));
        }
    }

    #[test]
    fn a_list_is_cut_at_commas_outside_parentheses() {
        assert_eq!(cut_list("k"), Ok(vec!["k"]));
        let keys = vec!["calls=>$fU", "b b", "$(hdr(X){s.select,0,/})"];
        assert_eq!(
            cut_list(" calls=>$fU ,b b,\t$(hdr(X){s.select,0,/}) "),
            Ok(keys)
        );
        for bad in ["", " ", ",", "a,", ",a", "a, ,b"] {
            let line = cut_list(bad).unwrap_err().to_string();
            assert!(line.starts_with(&format!("no key in '{bad}'; ")), "{line}");
        }
    }

    /// Whatever the text is, keys that are put together again with commas are the text without the
    /// blanks around the keys, and nothing in parentheses was cut.
    #[test]
    fn a_list_is_its_keys_with_commas_between_them() {
        let letters = ["a", ",", " ", "(", ")", "=>", "$x", "é"];
        for number in 0..8u32.pow(6) {
            let digits = (0..6).map(|place| number / 8u32.pow(place) % 8);
            let text: String = digits.map(|digit| letters[digit as usize]).collect();
            let Ok(keys) = cut_list(&text) else {
                continue;
            };
            let mut rest = &*text;
            for (at, key) in keys.iter().enumerate() {
                assert!(!key.is_empty() && key.trim_matches(' ') == *key, "{text:?}");
                let (before, after) = rest.split_once(key).unwrap();
                let comma = if at == 0 { "" } else { "," };
                assert_eq!(before.trim_matches(' '), comma, "{text:?}");
                let mut depth = 0usize;
                for letter in key.chars() {
                    match letter {
                        '(' => depth += 1,
                        ')' => depth = depth.saturating_sub(1),
                        ',' => assert!(depth > 0, "{text:?}"),
                        _ => {}
                    }
                }
                rest = after;
            }
            assert_eq!(rest.trim_matches(' '), "", "{text:?}");
        }
    }

    #[test]
    fn names_without_key_or_with_too_many_parts_are_refused() {
        for bad in [
            "=>5",
            " =>5",
            "calls=>",
            "calls=>=>5",
            "a=>b=>c",
            "calls=>k=>5=>6",
            "",
        ] {
            let line = cut(bad).unwrap_err();
            assert!(line.contains(bad) && line.contains("accepted: "), "{line}");
        }
    }
}
