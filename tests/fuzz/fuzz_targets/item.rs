//! Feeds the decoder of each form of values with any bytes under any client flags.
//!
//! It must never panic. A value must not be longer than the limit, unless it lay there as long as that. What
//! cannot be read must stay as it was. What was read must be read again when it is stored, also compressed.
//!
//! `cargo +nightly fuzz run --fuzz-dir tests/fuzz item -- -dict=tests/fuzz/item.dict -max_len=6000`

#![no_main]

use arbitrary::Arbitrary;
use kamailio_memcached::internals::{Found, ItemForm, Numbers, Value};
use libfuzzer_sys::fuzz_target;

#[derive(Debug, Arbitrary)]
struct Item<'a> {
    form: u8,
    flags: u32,
    limit: u16,
    bytes: &'a [u8],
}

fuzz_target!(|item: Item<'_>| {
    let form = ItemForm::ALL[usize::from(item.form) % ItemForm::ALL.len()];
    let limit = u32::from(item.limit);
    let mut text = item.bytes.to_vec();
    let Ok(found) = form.decode(item.flags, &mut text, limit, Numbers::Bits64) else {
        assert_eq!(text, item.bytes);
        return;
    };
    // The digits of a marshalled integer may be more than its bytes, and `false` gets one.
    let longest = item.bytes.len().max(limit as usize).max(20);
    assert!(text.len() <= longest, "{} bytes", text.len());
    let value = match found {
        Found::Integer(number) => Value::Integer(number),
        Found::Text => Value::Text(&text),
        Found::Null => return,
    };
    let mut room = [0; 20];
    let (flags, bytes) = form.encode(value, &mut room);
    let stored = [Some((flags, bytes.to_vec())), form.compress(flags, bytes)];
    for (flags, mut again) in stored.into_iter().flatten() {
        let longest = text.len() as u32 + 20;
        let read = form.decode(flags, &mut again, longest, Numbers::Bits64);
        assert!(read.is_ok(), "{read:?}");
        assert_eq!(again, text);
    }
});
