//! Forms: each alone, and any bytes with any flags. `tests/library/values.rs` has what real clients have
//! stored.

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

fn stored(form: ItemForm, value: Value<'_>) -> (u32, Vec<u8>) {
    let mut room = [0; MAX_DECIMAL];
    let (flags, bytes) = form.encode(value, &mut room);
    (flags, bytes.to_vec())
}

/// `value_limit`
const LIMIT: u32 = 1000;

/// What is read: the value, or the word for why it is none; and the text.
fn read(form: ItemForm, flags: u32, bytes: &[u8]) -> (Result<Found, &'static str>, Vec<u8>) {
    let mut text = bytes.to_vec();
    let found = form.decode(flags, &mut text, LIMIT, Numbers::Bits64);
    let found = found.map_err(|error| match error {
        Error::Foreign(_) => "foreign",
        Error::BrokenItem(_) => "broken",
        error => panic!("{error:?}"),
    });
    if found.is_err() {
        assert_eq!(text, bytes, "half decoded");
    }
    (found, text)
}

const TEXT: Result<Found, &str> = Ok(Found::Text);

#[test]
fn the_stock_module_has_strings_with_flags_1_and_integers_with_flags_0() {
    use Value::{Integer, Text};
    let stored = |value| stored(ItemForm::Kamailio, value);
    for number in [5, -5, 0, i64::MAX, i64::MIN] {
        let text = number.to_string().into_bytes();
        assert_eq!(stored(Integer(number)), (0, text));
    }
    for text in [&b" a\0\r\n "[..], b"", b"5", b" 5 "] {
        assert_eq!(stored(Text(text)), (1, text.to_vec()));
        for flags in [1, 3] {
            let read = read(ItemForm::Kamailio, flags, text);
            assert_eq!(read, (TEXT, text.to_vec()));
        }
    }
    let number = (Ok(Found::Integer(5)), b"5".to_vec());
    assert_eq!(read(ItemForm::Kamailio, 0, b"5 "), number);
    assert_eq!(read(ItemForm::Kamailio, 2, b"5 "), number);
}

#[test]
fn each_form_has_flags_of_its_own() {
    for (form, text, bytes, integer) in [
        (ItemForm::Kamailio, 1, 1, 0),
        (ItemForm::Libmc, 0, 0, 4),
        (ItemForm::Pylibmc, 16, 0, 4),
        (ItemForm::Pymemcache, 16, 0, 2),
        (ItemForm::Php, 0, 0, 1),
        (ItemForm::Dalli, 0, 0, 0),
        (ItemForm::Raw, 0, 0, 0),
    ] {
        assert_eq!(stored(form, Value::Text(b"12")), (text, b"12".to_vec()));
        let not_utf8 = (bytes, b"\xff".to_vec());
        assert_eq!(stored(form, Value::Text(b"\xff")), not_utf8);
        assert_eq!(stored(form, Value::Integer(-7)), (integer, b"-7".to_vec()));
    }
}

#[test]
fn what_another_program_alone_can_read_is_foreign() {
    let pickle = b"\x80\x05N.";
    for (form, flags, bytes) in [
        (ItemForm::Libmc, 1, &pickle[..]),
        (ItemForm::Libmc, 64, b"x"),
        (ItemForm::Libmc, 32, b"[\0\0\0\0"),
        (ItemForm::Libmc, 32, b"g\0\0\0\0\0\0\xf8?"),
        (
            ItemForm::Libmc,
            32,
            b"l\x06\0\0\0\0\0\0\0\0\0\0\0\0\0\x01\0",
        ),
        (ItemForm::Pylibmc, 1, pickle),
        (ItemForm::Pylibmc, 17, pickle),
        (ItemForm::Pylibmc, 32, b"x"),
        (ItemForm::Pymemcache, 1, pickle),
        (ItemForm::Php, 4, b"a:0:{}"),
        (ItemForm::Php, 5, b"\0\0\0\x02"),
        (ItemForm::Php, 7, b"\x90"),
        (ItemForm::Php, 8, b"x"),
        (ItemForm::Dalli, 1, b"\x04\x08i\x06"),
        (ItemForm::Dalli, 5, b"\x04\x08i\x06"),
        (ItemForm::Dalli, 64, b"x"),
    ] {
        assert_eq!(
            read(form, flags, bytes).0,
            Err("foreign"),
            "{form:?} {flags}"
        );
    }
}

#[test]
fn text_is_put_beside_text_only() {
    use ItemForm::{Dalli, Kamailio, Libmc, Php, Pylibmc, Pymemcache, Raw};
    for (form, all) in [
        (Kamailio, &[0, 1, 16, 17, 4097, u32::MAX][..]),
        (Libmc, &[0, 2, 4, 8, 16, 20, 4096, 4116, 0xabcd_0000]),
        (Pylibmc, &[0, 2, 4, 8, 16, 24]),
        (Pymemcache, &[0, 2, 4, 8, 16, 24]),
        (Php, &[0, 1, 2, 3, 6, 48, 0xabcd_0030]),
        (Dalli, &[0, 2, 4, 6]),
        (Raw, &[0, 1, 4096, u32::MAX]),
    ] {
        for &flags in all {
            let takes = form.check_takes_text(flags);
            assert!(takes.is_ok(), "{form:?} {flags}: {takes:?}");
        }
    }
    for (form, all) in [
        (Libmc, &[1, 17, 32, 48, 64, 4096 + 32, 0xabcd_0020][..]),
        (Pylibmc, &[1, 9, 17, 32]),
        (Pymemcache, &[1, 9, 17, 32]),
        (Php, &[4, 5, 7, 8, 52]),
        (Dalli, &[1, 3, 64]),
    ] {
        for &flags in all {
            let takes = form.check_takes_text(flags);
            assert!(
                matches!(takes, Err(Error::Foreign(_))),
                "{form:?} {flags}: {takes:?}"
            );
        }
    }
}

#[test]
fn bools_doubles_and_json_have_their_text() {
    let php = |flags, bytes: &[u8]| read(ItemForm::Php, flags, bytes);
    let number = |number: i64| (Ok(Found::Integer(number)), number.to_string().into_bytes());
    assert_eq!(php(3, b"1"), number(1));
    assert_eq!(php(3, b""), number(0));
    assert_eq!(php(2, b"1.5"), (TEXT, b"1.5".to_vec()));
    assert_eq!(php(6, b"{\"q\":1}"), (TEXT, b"{\"q\":1}".to_vec()));
    assert_eq!(php(0xabcd_0001, b"42"), number(42));
    assert_eq!(php(0, b"42"), (TEXT, b"42".to_vec()));
    assert_eq!(read(ItemForm::Libmc, 8, b"1"), number(1));
    assert_eq!(read(ItemForm::Libmc, 2, b"-3"), number(-3));
    assert_eq!(read(ItemForm::Pylibmc, 2, b"0"), number(0));
    // memcached pads a number after a decrement, whatever its flags.
    assert_eq!(read(ItemForm::Libmc, 4, b"9  "), number(9));
    // Not in the shortest form, so the host would not give it back as it was.
    assert_eq!(read(ItemForm::Libmc, 4, b"007"), (TEXT, b"007".to_vec()));
}

#[test]
fn raw_is_always_a_string() {
    for flags in [0, 1, 4, 4096, u32::MAX] {
        assert_eq!(read(ItemForm::Raw, flags, b"5 "), (TEXT, b"5 ".to_vec()));
    }
    assert_eq!(read(ItemForm::Dalli, 4, b"5"), (TEXT, b"5".to_vec()));
}

#[test]
fn integers_are_strings_for_scripts_that_want_them_so() {
    for (form, flags) in [
        (ItemForm::Libmc, 4),
        (ItemForm::Pylibmc, 4),
        (ItemForm::Php, 1),
    ] {
        let mut text = b"5 ".to_vec();
        let found = form.decode(flags, &mut text, LIMIT, Numbers::AsText);
        assert_eq!((found.unwrap(), &text[..]), (Found::Text, &b"5"[..]));
    }
}

#[test]
fn marshalled_values_are_read_whole_or_not_at_all() {
    let marshalled = |bytes: &[u8]| read(ItemForm::Libmc, 32, bytes);
    let number = |number: i64| (Ok(Found::Integer(number)), number.to_string().into_bytes());
    assert_eq!(marshalled(b"u\x02\0\0\0ab"), (TEXT, b"ab".to_vec()));
    assert_eq!(marshalled(b"u\0\0\0\0"), (TEXT, b"".to_vec()));
    assert_eq!(marshalled(b"N"), (Ok(Found::Null), b"".to_vec()));
    assert_eq!(marshalled(b"i\xff\xff\xff\xff"), number(-1));
    assert_eq!(marshalled(b"I\0\0\0\0\x01\0\0\0"), number(1 << 32));
    assert_eq!(marshalled(b"l\x03\0\0\0\0\0\0\0\0\x04"), number(1 << 40));
    assert_eq!(
        marshalled(b"l\xfd\xff\xff\xff\x01\0\0\0\0\x04"),
        number(-(1 << 40) - 1)
    );
    for broken in [
        &b""[..],
        b"u",
        b"u\x02\0\0\0a",
        b"u\x02\0\0\0abc",
        b"u\xff\xff\xff\xffa",
        b"N.",
        b"i\0\0\0",
        b"i\0\0\0\0\0",
        b"I\0\0\0\0",
        b"l\x03\0\0\0\0\0",
        b"l\x01\0\0\0\0\x80",
        b"l\0\0\0\x80",
    ] {
        assert_eq!(marshalled(broken).0, Err("broken"), "{broken:?}");
    }
}

fn any_form() -> impl Strategy<Value = ItemForm> {
    proptest::sample::select(&ItemForm::ALL[..])
}

proptest! {
    #[test]
    fn what_is_stored_is_read_again(
        form in any_form(),
        text in vec(any::<u8>(), 0..40),
        number in any::<i64>(),
    ) {
        let (flags, bytes) = stored(form, Value::Text(&text));
        prop_assert_eq!(read(form, flags, &bytes), (TEXT, text));
        let (flags, bytes) = stored(form, Value::Integer(number));
        let found = match form {
            ItemForm::Dalli | ItemForm::Raw => Found::Text,
            _ => Found::Integer(number),
        };
        prop_assert_eq!(read(form, flags, &bytes), (Ok(found), bytes));
    }

    /// Half of the flags are those that mean something.
    #[test]
    fn any_bytes_with_any_flags_are_read_whole_or_not_at_all(
        form in any_form(),
        flags in prop_oneof![any::<u32>(), 0..64u32],
        bytes in prop_oneof![vec(any::<u8>(), 0..40), "[uilIN][\\x00-\\x04]{0,12}".prop_map(String::into_bytes)],
    ) {
        let (found, text) = read(form, flags, &bytes);
        if let Ok(Found::Text) = found {
            prop_assert!(bytes.ends_with(&text) || bytes.starts_with(&text));
        }
    }
}

#[cfg(feature = "compression")]
mod compressed {
    use super::*;

    const LONG: &[u8] = &[b'x'; 300];

    fn packed(form: ItemForm) -> (u32, Vec<u8>) {
        let (flags, bytes) = stored(form, Value::Text(LONG));
        form.compress(flags, &bytes).unwrap()
    }

    #[test]
    fn each_form_has_a_flag_of_its_own_for_it() {
        for (form, flags) in [
            (ItemForm::Kamailio, 17),
            (ItemForm::Libmc, 16),
            (ItemForm::Pylibmc, 24),
            (ItemForm::Pymemcache, 24),
            (ItemForm::Php, 48),
            (ItemForm::Dalli, 2),
        ] {
            let (marked, bytes) = packed(form);
            assert_eq!(marked, flags, "{form:?}");
            assert_eq!(read(form, flags, &bytes), (TEXT, LONG.to_vec()));
            assert_eq!(form.compress(0, b"short"), None);
        }
        assert_eq!(ItemForm::Raw.compress(0, LONG), None);
    }

    #[test]
    fn php_has_the_length_in_front() {
        let (_, bytes) = packed(ItemForm::Php);
        assert_eq!(bytes[..5], [44, 1, 0, 0, 0x78]);
        let read = |bytes: &[u8]| read(ItemForm::Php, 48, bytes).0;
        for len in [43, 45, 255] {
            let other = [&[len], &bytes[1..]].concat();
            assert_eq!(read(&other), Err("broken"), "{len}");
        }
        let huge = [&[255; 4], &bytes[4..]].concat();
        assert_eq!(read(&huge), Err("broken"));
        for len in 0..bytes.len() {
            assert_eq!(read(&bytes[..len]), Err("broken"), "{len}");
        }
    }

    #[test]
    fn what_is_inside_is_read_by_its_type() {
        let integer = (Ok(Found::Integer(5)), b"5".to_vec());
        let stream = b"\x78\x9c\x33\x05\0\0\x36\0\x36";
        assert_eq!(read(ItemForm::Kamailio, 16, stream), integer);
        assert_eq!(read(ItemForm::Libmc, 20, stream), integer);
        assert_eq!(read(ItemForm::Libmc, 16, stream), (TEXT, b"5".to_vec()));
        for (form, flags) in [
            (ItemForm::Libmc, 17),
            (ItemForm::Pylibmc, 9),
            (ItemForm::Dalli, 3),
        ] {
            assert_eq!(read(form, flags, stream).0, Err("foreign"), "{form:?}");
        }
        for flags in [16, 80, 144] {
            let read = read(ItemForm::Php, flags, b"\x01\0\0\0x");
            assert_eq!(read.0, Err("foreign"), "{flags}");
        }
    }

    #[test]
    fn what_is_appended_breaks_it() {
        for form in [ItemForm::Kamailio, ItemForm::Php, ItemForm::Dalli] {
            let (flags, bytes) = packed(form);
            let appended = [&bytes[..], b"x"].concat();
            assert_eq!(read(form, flags, &appended).0, Err("broken"), "{form:?}");
        }
    }
}
