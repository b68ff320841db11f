//! A `Value` is what a script stores and reads, an integer or a string; here it gets its form in
//! memcached and back.
//!
//! The client flags of an item tell integers and strings apart, as in the stock module. If bit 0 is
//! set, the item is a string, byte for byte. If it is clear, the item is an integer if its text is
//! one in its shortest form, and otherwise a string, too. So other clients' items, which have that
//! bit clear, lose nothing: the telephone number `0049301234` keeps its zeros.

/// The client flags of strings that we store. Integers get 0.
pub(crate) const TEXT_FLAG: u32 = 1;

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

/// Which items without [`TEXT_FLAG`] are read as integers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Numbers {
    /// Integers that fit into 64 bits (Kamailio from 5.7 on).
    Bits64,
    /// Integers that fit into 32 bits (Kamailio up to 5.6, which would cut larger ones).
    Bits32,
    /// No item at all (`stringify=1`).
    AsText,
}

impl<'a> Value<'a> {
    /// The client flags and the bytes to store. The text of an integer is written to `buffer`.
    pub fn encode(self, buffer: &'a mut [u8; MAX_DECIMAL]) -> (u32, &'a [u8]) {
        match self {
            Self::Integer(number) => (0, signed_decimal(number, buffer)),
            Self::Text(bytes) => (TEXT_FLAG, bytes),
        }
    }
}

/// What a read item is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found {
    /// An integer.
    Integer(i64),
    /// A string.
    Text,
}

/// Reads an item by its client flags; afterwards `bytes` hold its text as stored. The text of an
/// integer in its shortest form, whether the host can hold it or not, loses the blanks that
/// memcached leaves behind it when a decrement makes it shorter.
pub(crate) fn decode(flags: u32, bytes: &mut Vec<u8>, numbers: impl FnOnce() -> Numbers) -> Found {
    if flags & TEXT_FLAG != 0 {
        return Found::Text;
    }
    let end = bytes.iter().rposition(|&byte| byte != b' ');
    let len = end.map_or(0, |last| last + 1);
    if !is_shortest_integer(&bytes[..len]) {
        return Found::Text;
    }
    bytes.truncate(len);
    let number = match numbers() {
        Numbers::Bits64 => parse_integer(bytes),
        Numbers::Bits32 => parse_integer(bytes).filter(|&number| i32::try_from(number).is_ok()),
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

fn parse_integer(text: &[u8]) -> Option<i64> {
    std::str::from_utf8(text).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    fn stored(value: Value<'_>) -> (u32, Vec<u8>) {
        let mut buffer = [0; MAX_DECIMAL];
        let (flags, bytes) = value.encode(&mut buffer);
        (flags, bytes.to_vec())
    }

    #[test]
    fn numbers_are_stored_as_decimal_text_with_flags_0() {
        assert_eq!(stored(Value::Integer(5)), (0, b"5".to_vec()));
        assert_eq!(stored(Value::Integer(-5)), (0, b"-5".to_vec()));
        assert_eq!(stored(Value::Integer(0)), (0, b"0".to_vec()));
        assert_eq!(
            stored(Value::Integer(i64::MAX)),
            (0, b"9223372036854775807".to_vec())
        );
        assert_eq!(
            stored(Value::Integer(i64::MIN)),
            (0, b"-9223372036854775808".to_vec())
        );
    }

    fn read(flags: u32, text: &[u8], numbers: Numbers) -> (Found, Vec<u8>) {
        let mut bytes = text.to_vec();
        (decode(flags, &mut bytes, || numbers), bytes)
    }

    #[test]
    fn strings_are_stored_and_read_byte_for_byte_with_flags_1() {
        assert_eq!(stored(Value::Text(b"5")), (1, b"5".to_vec()));
        assert_eq!(
            stored(Value::Text(b" a\0\r\n ")),
            (1, b" a\0\r\n ".to_vec())
        );
        for text in [&b" a\0\r\n "[..], b"", b"5", b" 5 "] {
            assert_eq!(read(1, text, Numbers::Bits64), (Found::Text, text.to_vec()));
            assert_eq!(
                read(17, text, Numbers::AsText),
                (Found::Text, text.to_vec())
            );
        }
    }

    #[test]
    fn numbers_are_read_without_the_blanks_behind_them() {
        for (text, number) in [("9  ", 9), ("-5", -5), ("7", 7), ("100 ", 100), ("0", 0)] {
            let (found, bytes) = read(0, text.as_bytes(), Numbers::Bits64);
            assert_eq!(found, Found::Integer(number), "{text}");
            assert_eq!(bytes, number.to_string().into_bytes());
        }
    }

    #[test]
    fn text_without_the_flag_stays_as_it_is() {
        for text in [
            "", "  ", "-", "+", " a ", "1.5", "0x10", "5 5", "--5", " 5", " -5", "5\t", "5\n",
            "+7", "+49", "007", "0049", "00", "-0", "-0 ", "-05", "- 5", "5-", "1e3",
        ] {
            let text = text.as_bytes();
            assert_eq!(read(0, text, Numbers::Bits64), (Found::Text, text.to_vec()));
        }
    }

    #[test]
    fn numbers_beyond_the_host_are_strings() {
        let read = |text: &str, numbers| {
            let (found, bytes) = read(0, text.as_bytes(), numbers);
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
        /// Whatever lies in memcached: an integer is read of its own decimal text and loses its
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
            flags in any::<u32>(),
            numbers in prop_oneof![
                Just(Numbers::Bits64),
                Just(Numbers::Bits32),
                Just(Numbers::AsText),
            ],
        ) {
            let (found, bytes) = read(flags & !TEXT_FLAG, &text, numbers);
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
