//! `Words` is a line that is cut at blanks.

/// How many words are cut off at a time.
const MOST: usize = 23;

/// The first words of a line, and what follows them.
#[derive(Debug)]
pub(super) struct Words<'a> {
    /// At most 23 words. They are not empty.
    pub(super) list: Vec<&'a [u8]>,
    /// What is behind them if the line has more. Only `get` and its kin look at it.
    pub(super) rest: Option<&'a [u8]>,
}

impl<'a> Words<'a> {
    /// Cuts a line. It ends at a NUL.
    pub(super) fn of(line: &'a [u8]) -> Self {
        let end = line.iter().position(|&byte| byte == 0);
        let line = &line[..end.unwrap_or(line.len())];
        let mut list = Vec::new();
        let mut start = 0;
        for (at, &byte) in line.iter().enumerate() {
            if byte != b' ' {
                continue;
            }
            if start != at {
                list.push(&line[start..at]);
                if list.len() == MOST {
                    let rest = &line[at + 1..];
                    let rest = (!rest.is_empty()).then_some(rest);
                    return Self { list, rest };
                }
            }
            start = at + 1;
        }
        if start != line.len() {
            list.push(&line[start..]);
        }
        Self { list, rest: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> (Vec<&str>, Option<&str>) {
        let text = |bytes| str::from_utf8(bytes).unwrap();
        let Words { list, rest } = Words::of(line.as_bytes());
        (list.into_iter().map(text).collect(), rest.map(text))
    }

    #[test]
    fn a_line_is_cut_at_blanks_up_to_a_nul() {
        assert_eq!(words("  a bc\r "), (vec!["a", "bc\r"], None));
        assert_eq!(words("a\0b c"), (vec!["a"], None));
        assert_eq!(words(" "), (vec![], None));
    }

    #[test]
    fn what_is_behind_23_words_stays_whole() {
        let line = "a ".repeat(23);
        assert_eq!(words(&line), (vec!["a"; 23], None));
        assert_eq!(words(line.trim()), (vec!["a"; 23], None));
        let more = line + " b c";
        assert_eq!(words(&more), (vec!["a"; 23], Some(" b c")));
    }
}
