//! Values that are longer than what may be read.

use super::tests::key;
use super::*;
use crate::wire::protocol::framing::CHUNK;

/// What a session of this limit reads of an item that is announced with `len` bytes, and whether it can be
/// used on.
fn read(limit: u32, len: &str, data: &[u8]) -> (Result<Reply, Error>, Session, Vec<u8>) {
    let (mut session, mut value) = (Session::new(limit).unwrap(), Vec::new());
    session.request(&Request::Get { key: &key() }).unwrap();
    let bytes = [
        format!("VALUE k 1 {len}\r\n").as_bytes(),
        data,
        b"\r\nEND\r\n",
    ]
    .concat();
    let mut rest = &bytes[..];
    loop {
        let room = session.room(&mut value);
        let count = room.len().min(rest.len());
        room[..count].copy_from_slice(&rest[..count]);
        rest = &rest[count..];
        session.received(count, &mut value);
        match session.reply(&mut value) {
            Ok(None) if count > 0 => {}
            Ok(None) => return (Err(session.closed()), session, value),
            Ok(Some(reply)) => return (Ok(reply), session, value),
            Err(error) => return (Err(error), session, value),
        }
    }
}

#[test]
fn a_value_of_the_limit_is_read_and_a_longer_one_is_too_large() {
    for limit in [1, 8, 20_000, 3 * CHUNK as u32 + 5] {
        let data = vec![b'x'; limit as usize];
        let (reply, session, value) = read(limit, &limit.to_string(), &data);
        assert!(matches!(reply, Ok(Reply::Item(_))), "{limit}: {reply:?}");
        assert!(session.is_idle() && !session.is_broken());
        assert_eq!(value, data, "{limit}");
        // Room for the NUL that the host needs, and no more than that.
        assert!(value.capacity() > value.len() && value.capacity() <= data.len() + 8 + CHUNK);
        for len in [u64::from(limit) + 1, 1 << 30] {
            let (reply, session, value) = read(limit, &len.to_string(), &data);
            let expected = TooLarge::ToRead { len, limit };
            let error = reply.unwrap_err();
            assert!(
                matches!(error, Error::TooLarge(is) if is == expected),
                "{error:?}"
            );
            assert!(
                error.is_refusal() && session.is_broken(),
                "the value follows"
            );
            assert_eq!(value.capacity(), 0, "nothing was allocated for it");
        }
    }
}

#[test]
fn memory_grows_with_what_has_arrived() {
    for have in [0, 100, CHUNK, 3 * CHUNK, 10 * CHUNK] {
        let (_, _, value) = read(1 << 30, "1073741824", &vec![b'x'; have]);
        let most = 4 * (have + CHUNK);
        assert!(value.capacity() <= most, "{} for {have}", value.capacity());
    }
}
