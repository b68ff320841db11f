use super::*;
use crate::item::key::WireKey;

fn bytes(request: Request<'_>) -> String {
    let mut out = Vec::new();
    encode(&request, &mut out).unwrap();
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
    assert_eq!(store(Store::Replace, b"v"), "replace k 1 60 1\r\nv\r\n");
    assert_eq!(store(Store::Append, b"v"), "append k 1 60 1\r\nv\r\n");
    assert_eq!(store(Store::Prepend, b"v"), "prepend k 1 60 1\r\nv\r\n");
    let cas = Request::Cas {
        key,
        flags: u32::MAX,
        lifetime: u32::MAX,
        version: u64::MAX,
        value: b"v",
    };
    let longest = "cas k 4294967295 4294967295 1 18446744073709551615\r\nv\r\n";
    assert_eq!(bytes(cas), longest);
    assert_eq!(bytes(Request::Gets { key }), "gets k\r\n");
}
