//! `KeyParts` are the parts of a key argument of the script, `[pool =>] key [=> expire]`.
//!
//! Only the text of the configuration is cut, never the value of a variable. So no caller can
//! choose a pool or a lifetime.

/// The parts of a key argument.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct KeyParts<'a> {
    /// The declared pool that the argument names, if it names one.
    pub pool: Option<&'a str>,
    /// The text of the key, a format string. It is never empty.
    pub key: &'a str,
    /// The text of the lifetime, a format string or a number. If it is empty, the default is used.
    pub expire: Option<&'a str>,
}

/// Why a key argument is refused. Its `Display` is the text for the operator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct BadKey(String);

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
    pub(crate) fn cut(text: &'a str, is_pool: impl Fn(&str) -> bool) -> Result<Self, BadKey> {
        let parts: Vec<&str> = parts(text).into_iter().map(blanks_off).collect();
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
                    "unknown pool '{first}' in '{text}'; {FORM}"
                )));
            }
            _ => return Err(BadKey(format!("too many '=>' in '{text}'; {FORM}"))),
        };
        if found.key.is_empty() {
            return Err(BadKey(format!("no key in '{text}'; {FORM}")));
        }
        Ok(found)
    }
}

const FORM: &str = "accepted: key, key=>seconds, pool=>key, pool=>key=>seconds";

fn blanks_off(part: &str) -> &str {
    part.trim_matches([' ', '\t'])
}

fn parts(text: &str) -> Vec<&str> {
    let bytes = text.as_bytes();
    let mut found = Vec::new();
    let (mut depth, mut from, mut at) = (0usize, 0, 0);
    while at < bytes.len() {
        match bytes[at] {
            b'(' => depth += 1,
            b')' => depth = depth.saturating_sub(1),
            b'=' if depth == 0 && bytes.get(at + 1) == Some(&b'>') => {
                found.push(&text[from..at]);
                at += 1;
                from = at + 1;
            }
            _ => {}
        }
        at += 1;
    }
    found.push(&text[from..]);
    found
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
