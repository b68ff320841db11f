//! A `Value` is what a script stores and reads, an integer or a string. [`forms`](super::forms) has its
//! forms in memcached; here are the decimal texts that all of them use.

/// The length of the longest decimal text of a 64-bit integer.
pub(crate) const MAX_DECIMAL: usize = 20;

/// A value on its way between script and memcached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Value<'a> {
    /// An integer.
    Integer(i64),
    /// Any bytes.
    Text(&'a [u8]),
}

impl<'a> Value<'a> {
    /// Its text. That of an integer is written to `room`.
    #[inline(always)]
    pub(crate) fn text(self, room: &'a mut [u8; MAX_DECIMAL]) -> &'a [u8] {
        match self {
            Self::Integer(number) => signed_decimal(number, room),
            Self::Text(bytes) => bytes,
        }
    }
}

/// Which integers are read as such. All others are read as strings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Numbers {
    /// Integers that fit into 64 bits (Kamailio from 5.7 on).
    Bits64,
    /// Integers that fit into 32 bits (Kamailio up to 5.6, which would cut larger ones).
    Bits32,
    /// None at all (`stringify=1`).
    AsText,
}

/// What a read item is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found {
    /// An integer.
    Integer(i64),
    /// A string.
    Text,
    /// The null of the program that has stored it.
    Null,
}

/// Reads a text that is an integer in its shortest form as an integer, and any other as a string. The
/// text of an integer, whether the host can hold it or not, loses the blanks that memcached leaves
/// behind it when a decrement makes it shorter.
pub(crate) fn integer_or_text(text: &mut Vec<u8>, numbers: impl FnOnce() -> Numbers) -> Found {
    let end = text.iter().rposition(|&byte| byte != b' ');
    let len = end.map_or(0, |last| last + 1);
    if !is_shortest_integer(&text[..len]) {
        return Found::Text;
    }
    text.truncate(len);
    let number = match numbers() {
        Numbers::Bits64 => parse_integer(text),
        Numbers::Bits32 => parse_integer(text).filter(|&number| i32::try_from(number).is_ok()),
        Numbers::AsText => None,
    };
    number.map_or(Found::Text, Found::Integer)
}

/// True for `0`, or an optional `-` and digits that do not begin with 0.
fn is_shortest_integer(text: &[u8]) -> bool {
    match text.strip_prefix(b"-").unwrap_or(text) {
        [b'0'] => text.len() == 1,
        [b'1'..=b'9', digits @ ..] => digits.iter().all(u8::is_ascii_digit),
        _ => false,
    }
}

/// Reads the operand of an operation, which is an integer or its decimal text. Blanks around the
/// text are ignored.
pub(crate) fn operand(value: Value<'_>) -> Option<i64> {
    match value {
        Value::Integer(number) => Some(number),
        Value::Text(bytes) => parse_integer(bytes.trim_ascii()),
    }
}

/// Writes the decimal text of `number`, with its sign, to the end of `buffer`.
pub(crate) fn signed_decimal(number: i64, buffer: &mut [u8; MAX_DECIMAL]) -> &[u8] {
    let mut at = put_digits(number.unsigned_abs(), buffer, MAX_DECIMAL);
    if number < 0 {
        at -= 1;
        buffer[at] = b'-';
    }
    &buffer[at..]
}

/// Writes the digits of `number` in front of the index `end` of `buffer`, which has room for them.
/// Returns the index of the first one.
pub(crate) fn put_digits(mut number: u64, buffer: &mut [u8], end: usize) -> usize {
    let mut at = end;
    loop {
        at -= 1;
        buffer[at] = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 {
            return at;
        }
    }
}

/// Appends the decimal text of `number`.
pub(crate) fn put_decimal(number: u64, to: &mut Vec<u8>) {
    let mut digits = [0; MAX_DECIMAL];
    let from = put_digits(number, &mut digits, MAX_DECIMAL);
    to.extend_from_slice(&digits[from..]);
}

/// An integer from 0 to 2^64-1, or its decimal text. Blanks around the text are ignored.
pub(crate) fn unsigned(value: Value<'_>) -> Option<u64> {
    match value {
        Value::Integer(number) => u64::try_from(number).ok(),
        Value::Text(bytes) => std::str::from_utf8(bytes.trim_ascii()).ok()?.parse().ok(),
    }
}

/// A text as the script has it: an integer in its shortest form is one, all else is a string.
pub(crate) fn literal(text: &[u8]) -> Value<'_> {
    match is_shortest_integer(text)
        .then(|| parse_integer(text))
        .flatten()
    {
        Some(number) => Value::Integer(number),
        None => Value::Text(text),
    }
}

fn parse_integer(text: &[u8]) -> Option<i64> {
    std::str::from_utf8(text).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    fn read(text: &[u8], numbers: Numbers) -> (Found, Vec<u8>) {
        let mut bytes = text.to_vec();
        (integer_or_text(&mut bytes, || numbers), bytes)
    }

    #[test]
    fn numbers_are_read_without_the_blanks_behind_them() {
        for (text, number) in [("9  ", 9), ("-5", -5), ("7", 7), ("100 ", 100), ("0", 0)] {
            let (found, bytes) = read(text.as_bytes(), Numbers::Bits64);
            assert_eq!(found, Found::Integer(number), "{text}");
            assert_eq!(bytes, number.to_string().into_bytes());
        }
    }

    #[test]
    fn other_text_stays_as_it_is() {
        for text in [
            "", "  ", "-", "+", " a ", "1.5", "0x10", "5 5", "--5", " 5", " -5", "5\t", "5\n",
            "+7", "+49", "007", "0049", "00", "-0", "-0 ", "-05", "- 5", "5-", "1e3",
        ] {
            let text = text.as_bytes();
            assert_eq!(read(text, Numbers::Bits64), (Found::Text, text.to_vec()));
        }
    }

    #[test]
    fn numbers_beyond_the_host_are_strings() {
        let read = |text: &str, numbers| {
            let (found, bytes) = read(text.as_bytes(), numbers);
            (found, String::from_utf8(bytes).unwrap())
        };
        let string = |text: &str| (Found::Text, text.to_owned());
        let number = |number: i64| (Found::Integer(number), number.to_string());
        assert_eq!(read("2147483647", Numbers::Bits32), number(2_147_483_647));
        assert_eq!(read("2147483648", Numbers::Bits32), string("2147483648"));
        assert_eq!(read("2147483648 ", Numbers::Bits32), string("2147483648"));
        assert_eq!(read("-2147483648", Numbers::Bits32), number(-2_147_483_648));
        assert_eq!(read("-2147483649", Numbers::Bits32), string("-2147483649"));
        assert_eq!(
            read("9223372036854775807", Numbers::Bits64),
            number(i64::MAX)
        );
        assert_eq!(
            read("-9223372036854775808", Numbers::Bits64),
            number(i64::MIN)
        );
        for text in [
            "9223372036854775808",
            "-9223372036854775809",
            "18446744073709551615",
            "100000000000000000000",
        ] {
            assert_eq!(read(text, Numbers::Bits64), string(text));
        }
        for (text, expected) in [
            ("5", "5"),
            ("5 ", "5"),
            ("0049", "0049"),
            ("0049 ", "0049 "),
        ] {
            assert_eq!(read(text, Numbers::AsText), string(expected));
        }
    }

    proptest! {
        /// Any text: an integer is read of its own decimal text and loses its
        /// padding; all else keeps each byte.
        #[test]
        fn what_is_read_is_an_integer_in_its_own_words_or_the_very_bytes(
            text in prop_oneof![
                vec(any::<u8>(), 0..24),
                "[-+]?0{0,2}[0-9]{0,21} {0,3}".prop_map(String::into_bytes),
                (any::<i64>(), 0..4usize).prop_map(|(number, blanks)| {
                    format!("{number}{:blanks$}", "").into_bytes()
                }),
            ],
            numbers in prop_oneof![
                Just(Numbers::Bits64),
                Just(Numbers::Bits32),
                Just(Numbers::AsText),
            ],
        ) {
            let (found, bytes) = read(&text, numbers);
            let (least, largest) = match numbers {
                Numbers::Bits64 => (i64::MIN.into(), i64::MAX.into()),
                Numbers::Bits32 => (i32::MIN.into(), i32::MAX.into()),
                Numbers::AsText => (1, 0),
            };
            let trimmed = text.iter().rposition(|&byte| byte != b' ').map_or(0, |last| last + 1);
            let words = String::from_utf8_lossy(&text[..trimmed]);
            let number = words.parse::<i128>().ok();
            let number = number.filter(|number| number.to_string() == words);
            let in_words = number.filter(|number| (least..=largest).contains(number));
            let text = if number.is_some() { text[..trimmed].to_vec() } else { text };
            match in_words {
                Some(number) => {
                    prop_assert_eq!(found, Found::Integer(number as i64));
                    prop_assert_eq!(bytes, number.to_string().into_bytes());
                }
                None => {
                    prop_assert_eq!(found, Found::Text);
                    prop_assert_eq!(bytes, text);
                }
            }
        }
    }

    #[test]
    fn operands_are_integers_or_their_text() {
        assert_eq!(operand(Value::Integer(-3)), Some(-3));
        assert_eq!(operand(Value::Text(b" 12 ")), Some(12));
        assert_eq!(operand(Value::Text(b"+12")), Some(12));
        assert_eq!(operand(Value::Text(b"-012")), Some(-12));
        for bad in [
            &b""[..],
            b"x",
            b"-",
            b"+",
            b"+-1",
            b"1x",
            b"9223372036854775808",
            b"1.0",
        ] {
            assert_eq!(operand(Value::Text(bad)), None);
        }
    }
}
