//! What holds for every item, whatever its flags and its bytes are, in each form of values.
//!
//! The decoder must never panic. A value must not be longer than the limit, unless it lay there as long as that.
//! What cannot be read must stay as it was. What was read must be read again when it is stored, also compressed.

use kamailio_memcached::internals::{Found, ItemForm, Numbers, Value};

/// Checks all rules for an input: form, flags, limit, and the bytes of the item.
pub fn check(input: &[u8]) {
    let Some((&[form, a, b, c, d, low, high], bytes)) = input.split_first_chunk() else {
        return;
    };
    let form = ItemForm::ALL[usize::from(form) % ItemForm::ALL.len()];
    let flags = u32::from_le_bytes([a, b, c, d]);
    let limit = u32::from(u16::from_le_bytes([low, high]));
    let mut text = bytes.to_vec();
    let Ok(found) = form.decode(flags, &mut text, limit, Numbers::Bits64) else {
        assert_eq!(text, bytes);
        return;
    };
    // The digits of a marshalled integer may be more than its bytes, and `false` gets one.
    let longest = bytes.len().max(limit as usize).max(20);
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
}
