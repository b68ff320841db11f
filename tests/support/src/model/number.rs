//! Numbers in words and values, as the C library reads them: blanks and a sign may be in front, a
//! blank of any kind or a NUL ends them.

/// The blanks of the C library.
fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t'..=b'\r')
}

/// True for a minus, and the digits' value. Values of more than 64 bits are `None`, too.
fn integer(text: &[u8]) -> Option<(bool, u64)> {
    let start = text.iter().position(|&byte| !is_space(byte))?;
    let text = &text[start..];
    let (negative, digits) = match text.first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    let count = digits.iter().take_while(|byte| byte.is_ascii_digit());
    let (digits, behind) = digits.split_at(count.count());
    let is_whole = behind
        .first()
        .is_none_or(|&byte| byte == 0 || is_space(byte));
    let digits = str::from_utf8(digits).expect("digits");
    // No digits are no number.
    let value = digits.parse().ok().filter(|_| is_whole)?;
    Some((negative, value))
}

/// A number of 64 bits. A small negative one becomes huge, and is refused as such.
pub(super) fn unsigned64(text: &[u8]) -> Option<u64> {
    let (negative, value) = integer(text)?;
    let value = if negative {
        value.wrapping_neg()
    } else {
        value
    };
    let is_huge = value > i64::MAX as u64;
    let mut string = text.iter().take_while(|&&byte| byte != 0);
    (!is_huge || !string.any(|&byte| byte == b'-')).then_some(value)
}

/// The same. Higher bits are cut off.
pub(super) fn unsigned32(text: &[u8]) -> Option<u32> {
    Some(unsigned64(text)? as u32)
}

/// A number of 64 bits with a sign. Higher bits than 32 are cut off.
pub(super) fn signed32(text: &[u8]) -> Option<i32> {
    let (negative, value) = integer(text)?;
    let value = i128::from(value) * if negative { -1 } else { 1 };
    Some(i64::try_from(value).ok()? as i32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_as_the_c_library_reads_them() {
        for (text, number) in [
            ("0", Some(0)),
            ("\t +7\rx", Some(7)),
            ("5\0x", Some(5)),
            ("18446744073709551615", Some(u64::MAX)),
            ("-18446744073709551615", Some(1)),
            ("18446744073709551616", None),
            ("18446744073709551615 -", None),
            ("-1", None),
            ("-0", Some(0)),
            ("1x", None),
            ("+", None),
            ("- 1", None),
            ("", None),
            (" ", None),
        ] {
            assert_eq!(unsigned64(text.as_bytes()), number, "{text:?}");
        }
    }

    #[test]
    fn higher_bits_are_cut_off() {
        assert_eq!(unsigned32(b"4294967301"), Some(5));
        assert_eq!(signed32(b"-1"), Some(-1));
        assert_eq!(signed32(b"4294967301"), Some(5));
        assert_eq!(signed32(b"9223372036854775808"), None);
        assert_eq!(signed32(b"-9223372036854775808"), Some(0));
    }
}
