//! Writing requests in memcached's classic text protocol.

use super::{Request, Store, Way};
use crate::item::value::{MAX_DECIMAL, decimal};

/// Appends the bytes of `request` to `out`.
pub fn encode(request: &Request<'_>, out: &mut Vec<u8>) {
    match *request {
        Request::Get { key } => line(out, b"get ", key.as_bytes(), &[]),
        Request::Delete { key } => line(out, b"delete ", key.as_bytes(), &[]),
        Request::Touch { key, lifetime } => {
            line(out, b"touch ", key.as_bytes(), &[u64::from(lifetime)]);
        }
        Request::Count { way, key, by } => {
            let verb = match way {
                Way::Up => b"incr ",
                Way::Down => b"decr ",
            };
            line(out, verb, key.as_bytes(), &[by]);
        }
        Request::Store {
            store,
            key,
            flags,
            lifetime,
            value,
        } => {
            let verb = match store {
                Store::Set => b"set ",
                Store::Add => b"add ",
            };
            let numbers = [u64::from(flags), u64::from(lifetime), value.len() as u64];
            line(out, verb, key.as_bytes(), &numbers);
            out.extend_from_slice(value);
            out.extend_from_slice(b"\r\n");
        }
    }
}

fn line<const N: usize>(out: &mut Vec<u8>, verb: &[u8; N], key: &[u8], numbers: &[u64]) {
    out.extend_from_slice(verb);
    out.extend_from_slice(key);
    for &number in numbers {
        out.push(b' ');
        push_decimal(out, number);
    }
    out.extend_from_slice(b"\r\n");
}

fn push_decimal(out: &mut Vec<u8>, number: u64) {
    let mut room = [0; MAX_DECIMAL];
    out.extend_from_slice(decimal(number, &mut room));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::item::key::WireKey;

    fn bytes(request: Request<'_>) -> String {
        let mut out = Vec::new();
        encode(&request, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn each_request_is_one_line_and_its_data() {
        let key = &WireKey::new(b"", b"k").unwrap();
        assert_eq!(bytes(Request::Get { key }), "get k\r\n");
        assert_eq!(bytes(Request::Delete { key }), "delete k\r\n");
        assert_eq!(
            bytes(Request::Touch {
                key,
                lifetime: 1000
            }),
            "touch k 1000\r\n"
        );
        assert_eq!(
            bytes(Request::Count {
                way: Way::Up,
                key,
                by: u64::MAX
            }),
            { "incr k 18446744073709551615\r\n" }
        );
        assert_eq!(
            bytes(Request::Count {
                way: Way::Down,
                key,
                by: 0
            }),
            "decr k 0\r\n"
        );
        let store = |store, value| {
            bytes(Request::Store {
                store,
                key,
                flags: 1,
                lifetime: 60,
                value,
            })
        };
        assert_eq!(store(Store::Set, b"a\r\nb"), "set k 1 60 4\r\na\r\nb\r\n");
        assert_eq!(store(Store::Add, b""), "add k 1 60 0\r\n\r\n");
    }
}
