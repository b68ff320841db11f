//! Text of others in messages: what an operator has typed, what a file or a script holds.
//!
//! It may be long, and may hold any byte. A message shows its beginning, and always stays one
//! printable line.

use std::fmt::{self, Display};

/// How many bytes of a text a message shows. A text that is cut ends in `...`.
pub(crate) const MAX_SHOWN: usize = 200;

/// Shows the beginning of `text` between single quotes.
pub(crate) fn quoted<T: AsRef<[u8]> + ?Sized>(text: &T) -> impl Display {
    struct Quoted<'a>(Shown<'a>);

    impl Display for Quoted<'_> {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            write!(f, "'{}'", self.0)
        }
    }

    Quoted(Shown(text.as_ref()))
}

/// Shows the beginning of `text`.
pub(crate) fn shown<T: AsRef<[u8]> + ?Sized>(text: &T) -> impl Display {
    Shown(text.as_ref())
}

/// `bytes`, if they are text that a terminal shows as it is.
pub(crate) fn as_text(bytes: &[u8]) -> Option<&str> {
    let text = std::str::from_utf8(bytes).ok();
    text.filter(|text| !text.contains(is_control))
}

/// The whole of `text`, with escapes in place of what a terminal would not show as it is.
pub(crate) fn escaped<T: AsRef<[u8]> + ?Sized>(text: &T) -> String {
    let mut shown = String::new();
    for chunk in text.as_ref().utf8_chunks() {
        for letter in chunk.valid().chars() {
            match letter {
                '\\' => shown.push_str("\\\\"),
                letter if is_control(letter) => shown.extend(letter.escape_default()),
                letter => shown.push(letter),
            }
        }
        shown.push_str(&chunk.invalid().escape_ascii().to_string());
    }
    shown
}

/// True for a character that has no form of its own, but moves, changes or hides others.
fn is_control(letter: char) -> bool {
    letter.is_control()
        || matches!(
            letter,
            '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}'
        )
}

struct Shown<'a>(&'a [u8]);

impl Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let beginning = beginning(self.0);
        for chunk in beginning.utf8_chunks() {
            let (text, other) = (chunk.valid().escape_debug(), chunk.invalid().escape_ascii());
            write!(f, "{text}{other}")?;
        }
        f.write_str(if beginning.len() < self.0.len() {
            "..."
        } else {
            ""
        })
    }
}

/// The bytes that are shown. A character of UTF-8, which has four bytes at most, is not cut.
fn beginning(text: &[u8]) -> &[u8] {
    if text.len() <= MAX_SHOWN {
        return text;
    }
    let begins_a_character = |at: &usize| text[*at] & 0b1100_0000 != 0b1000_0000;
    let end = (MAX_SHOWN - 3..=MAX_SHOWN).rfind(begins_a_character);
    &text[..end.unwrap_or(MAX_SHOWN)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_text_is_shown_whole() {
        for (text, expected) in [
            ("", "''"),
            ("jürgen $var(x)=>60", "'jürgen $var(x)=>60'"),
            ("a\0b\nc\u{7f}\t", "'a\\0b\\nc\\u{7f}\\t'"),
            ("it's", "'it\\'s'"),
        ] {
            assert_eq!(quoted(text).to_string(), expected);
        }
        assert_eq!(
            quoted(b"\xffa\xe2\x82\n").to_string(),
            "'\\xffa\\xe2\\x82\\n'"
        );
        let fits = "x".repeat(MAX_SHOWN);
        assert_eq!(shown(&fits).to_string(), fits);
    }

    #[test]
    fn what_can_be_shown_is_shown_as_it_is() {
        for text in ["", "sip:jürgen@example.com", "a 'b' \\c", "日本語"] {
            assert_eq!(as_text(text.as_bytes()), Some(text));
        }
        for (bytes, shown) in [
            (&b"a\0b\r\n"[..], "a\\u{0}b\\r\\n"),
            (b"\x1b[2J\\", "\\u{1b}[2J\\\\"),
            (b"\xffj\xc3\xbc", "\\xffjü"),
            ("\u{202e}x\u{9b}".as_bytes(), "\\u{202e}x\\u{9b}"),
        ] {
            assert_eq!(as_text(bytes), None, "{shown}");
            assert_eq!(escaped(bytes), shown);
        }
    }

    #[test]
    fn a_long_text_is_cut_between_characters() {
        let x = |count: usize| "x".repeat(count);
        assert_eq!(shown(&x(201)).to_string(), x(200) + "...");
        assert_eq!(quoted(&x(9999)).to_string(), format!("'{}...'", x(200)));
        for (text, kept) in [("é", 100), ("€", 66), ("𝄞", 50)] {
            let all = shown(&text.repeat(300)).to_string();
            assert_eq!(all, text.repeat(kept) + "...", "{text}");
        }
        let garbage = shown(&[0x80; 300]).to_string();
        assert_eq!(garbage, "\\x80".repeat(200) + "...");
    }
}
