use super::*;
use crate::wire::session::Session;

fn key() -> WireKey {
    WireKey::new(b"", b"k").unwrap()
}

fn count(way: Way, key: &WireKey) -> Request<'_> {
    Request::CountOrCreate {
        way,
        key,
        by: 5,
        initial: 1,
        lifetime: 60,
    }
}

fn said(request: &Request<'_>) -> String {
    let mut session = Session::new(1024).unwrap();
    session.request(request).unwrap();
    String::from_utf8(session.unsent().to_vec()).unwrap()
}

/// What these bytes answer, which arrive one by one.
fn answer(request: &Request<'_>, bytes: &str) -> Result<Option<Reply>, Error> {
    let (mut session, mut value) = (Session::new(1024).unwrap(), Vec::new());
    session.request(request).unwrap();
    session.note_sent(session.unsent().len());
    for byte in bytes.bytes() {
        session.room(&mut value)[0] = byte;
        session.received(1, &mut value);
        if let Some(reply) = session.reply(&mut value)? {
            return Ok(Some(reply));
        }
    }
    Ok(None)
}

#[test]
fn a_request_is_one_line() {
    let key = key();
    assert_eq!(said(&count(Way::Up, &key)), "ma k MI D5 J1 N60 v\r\n");
    assert_eq!(said(&count(Way::Down, &key)), "ma k MD D5 J1 N60 v\r\n");
    assert_eq!(said(&Request::NoOp), "mn\r\n");
}

#[test]
fn the_number_after_counting_is_read() {
    let key = key();
    for (bytes, number) in [
        ("VA 1\r\n7\r\n", 7),
        ("VA 2 t30\r\n9 \r\n", 9),
        ("VA 20\r\n18446744073709551615\r\n", u64::MAX),
    ] {
        let counted = answer(&count(Way::Up, &key), bytes);
        assert_eq!(counted.unwrap(), Some(Reply::Counted(number)), "{bytes}");
    }
    let lost = answer(&count(Way::Up, &key), "NS\r\n");
    assert_eq!(lost.unwrap(), Some(Reply::NotStored));
    assert_eq!(answer(&count(Way::Up, &key), "VA 1\r\n7").unwrap(), None);
    let alive = answer(&Request::NoOp, "MN\r\n");
    assert_eq!(alive.unwrap(), Some(Reply::NoOp));
}

#[test]
fn an_item_is_inspected() {
    let key = key();
    let request = Request::Inspect { key: &key };
    assert_eq!(said(&request), "mg k v f t l k u\r\n");
    let usage = |left, unused| Usage { left, unused };
    for (bytes, item) in [
        ("VA 2 f1 t30 l5 kk\r\nab\r\n", Some((1, usage(30, 5)))),
        (
            "VA 0 f0 t-1 l0 kk\r\n\r\n",
            Some((0, usage(Usage::FOR_EVER, 0))),
        ),
        ("VA 4 f7 t0 l9 kk W\r\na\r\nb\r\n", Some((7, usage(0, 9)))),
        (
            "VA 0 f4294967295 t4294967296 l0 kk\r\n\r\n",
            Some((u32::MAX, usage(u32::MAX, 0))),
        ),
        ("EN\r\n", None),
        ("EN kk\r\n", None),
    ] {
        let lease = Lease {
            is_ours: bytes.contains(" W"),
            ..Lease::default()
        };
        let expected = item.map_or(Reply::Miss, |(flags, usage)| {
            Reply::Inspected(Item { flags }, usage, lease)
        });
        assert_eq!(answer(&request, bytes).unwrap(), Some(expected), "{bytes}");
    }
    for bytes in [
        "VA 2 f1 t30 l5 kk\r\nabc\r\n",
        "VA 2 f1 t30 l5 kx\r\n",
        "VA 2 f1 t30 l5\r\n",
        "VA 2 f1 l5 kk\r\n",
        "VA x f1 t30 l5 kk\r\n",
        "VA 4294967295 f1 t30 l5 kk\r\n",
        "VA 2 f t30 l5 kk\r\n",
        "VA 2 f4294967296 t30 l5 kk\r\nab\r\n",
        "VA\r\n",
        "HD\r\n",
        "END\r\n",
    ] {
        let error = answer(&request, bytes).unwrap_err();
        assert!(matches!(error, Error::Garbled(_)), "{bytes}: {error}");
    }
    assert_eq!(answer(&request, "VA 2 f1 t30 l5 kk\r\nab").unwrap(), None);
}

#[test]
fn an_item_is_read_with_the_time_that_it_lasts() {
    let key = key();
    let request = Request::GetLasting { key: &key };
    assert_eq!(said(&request), "mg k v f t k\r\n");
    let ours = Lease {
        is_ours: true,
        is_stale: true,
        ..Lease::default()
    };
    for (bytes, item) in [
        ("VA 2 f1 t30 kk\r\nab\r\n", Some((1, 30, Lease::default()))),
        (
            "VA 0 f0 t-1 kk\r\n\r\n",
            Some((0, Usage::FOR_EVER, Lease::default())),
        ),
        ("VA 1 f0 t0 kk X W\r\na\r\n", Some((0, 0, ours))),
        ("EN kk\r\n", None),
        ("EN\r\n", None),
    ] {
        let expected = item.map_or(Reply::Miss, |(flags, left, lease)| {
            Reply::Lasting(Item { flags }, left, lease)
        });
        assert_eq!(answer(&request, bytes).unwrap(), Some(expected), "{bytes}");
    }
    for bytes in [
        "VA 2 f1 t30 kx\r\n",
        "VA 2 f1 t30\r\n",
        "VA 2 f1 kk\r\n",
        "VA 2 t30 kk\r\n",
        "EN kx\r\n",
        "VA 2 f1 t30 kk\r\nabc\r\n",
        "VALUE k 1 2\r\n",
    ] {
        let error = answer(&request, bytes).unwrap_err();
        assert!(matches!(error, Error::Garbled(_)), "{bytes}: {error}");
    }
}

#[test]
fn an_item_is_read_with_its_lease() {
    let key = key();
    let request = |early| Request::Lease {
        key: &key,
        time: 10,
        early,
    };
    assert_eq!(said(&request(0)), "mg k N10 v f c k\r\n");
    assert_eq!(said(&request(30)), "mg k N10 R30 v f c k\r\n");
    for (bytes, ours, others, stale) in [
        ("VA 2 f1 c7 kk\r\nab\r\n", false, false, false),
        ("VA 2 f1 c7 kk W\r\nab\r\n", true, false, false),
        ("VA 2 f1 c7 kk Z\r\nab\r\n", false, true, false),
        ("VA 2 f1 c7 kk X W\r\nab\r\n", true, false, true),
        ("VA 2 f1 c7 kk Z X\r\nab\r\n", false, true, true),
    ] {
        let lease = Lease {
            is_ours: ours,
            is_others: others,
            is_stale: stale,
        };
        let expected = Reply::Leased(Item { flags: 1 }, 7, lease);
        let reply = answer(&request(0), bytes).unwrap();
        assert_eq!(reply, Some(expected), "{bytes}");
    }
    assert_eq!(
        answer(&request(0), "EN\r\n").unwrap(),
        Some(Reply::Miss),
        "no memory"
    );
    for bytes in [
        "VA 2 f1 c7 kx W\r\n",
        "VA 2 f1 c7 W\r\n",
        "VA 2 f1 kk W\r\n",
        "VA 2 c7 kk W\r\n",
        "VA 2 f1 c kk W\r\n",
        "VA 0 f1 c7 kk W\r\nab\r\n",
        "HD\r\n",
    ] {
        let error = answer(&request(0), bytes).unwrap_err();
        assert!(matches!(error, Error::Garbled(_)), "{bytes}: {error}");
    }
}

#[test]
fn an_item_is_invalidated() {
    let key = key();
    let request = Request::Invalidate {
        key: &key,
        lifetime: 30,
    };
    assert_eq!(said(&request), "md k I T30\r\n");
    assert_eq!(answer(&request, "HD\r\n").unwrap(), Some(Reply::Touched));
    assert_eq!(answer(&request, "NF\r\n").unwrap(), Some(Reply::Miss));
    let error = answer(&request, "EX\r\n").unwrap_err();
    assert!(matches!(error, Error::Garbled(_)), "{error}");
}

#[test]
fn a_lease_is_given_back_if_the_item_still_has_that_version() {
    let key = key();
    let request = Request::GiveBack {
        key: &key,
        lifetime: 30,
        version: 7,
    };
    assert_eq!(said(&request), "md k I T30 C7\r\n");
    for (bytes, reply) in [
        ("HD\r\n", Reply::Touched),
        ("NF\r\n", Reply::Miss),
        ("EX\r\n", Reply::Exists),
    ] {
        assert_eq!(answer(&request, bytes).unwrap(), Some(reply), "{bytes}");
    }
}

#[test]
fn an_item_is_removed_if_it_still_has_that_version() {
    let key = key();
    let request = Request::DeleteVersion {
        key: &key,
        version: 7,
    };
    assert_eq!(said(&request), "md k C7\r\n");
    for (bytes, reply) in [
        ("HD\r\n", Reply::Deleted),
        ("NF\r\n", Reply::Miss),
        ("EX\r\n", Reply::Exists),
    ] {
        assert_eq!(answer(&request, bytes).unwrap(), Some(reply), "{bytes}");
    }
}

#[test]
fn an_item_is_looked_at_without_its_value() {
    let key = key();
    let request = Request::Look { key: &key };
    assert_eq!(said(&request), "mg k f c k\r\n");
    for (bytes, ours, others, stale) in [
        ("HD f1 c7 kk\r\n", false, false, false),
        ("HD f1 c7 kk X W\r\n", true, false, true),
        ("HD f1 c7 kk Z X\r\n", false, true, true),
    ] {
        let lease = Lease {
            is_ours: ours,
            is_others: others,
            is_stale: stale,
        };
        let expected = Reply::Leased(Item { flags: 1 }, 7, lease);
        assert_eq!(answer(&request, bytes).unwrap(), Some(expected), "{bytes}");
    }
    assert_eq!(answer(&request, "EN\r\n").unwrap(), Some(Reply::Miss));
    for bytes in [
        "HD\r\n",
        "HD f1 c7\r\n",
        "HD f1 c7 kx\r\n",
        "HD c7 kk\r\n",
        "HD f1 kk\r\n",
        "HD f1 cx kk\r\n",
        "VA 1 f1 c7 kk\r\nv\r\n",
    ] {
        let error = answer(&request, bytes).unwrap_err();
        assert!(matches!(error, Error::Garbled(_)), "{bytes}: {error}");
    }
}

#[test]
fn anything_else_is_a_refusal_or_garbled() {
    let key = key();
    let error = |bytes| answer(&count(Way::Up, &key), bytes).unwrap_err();
    assert!(matches!(error("ERROR\r\n"), Error::Rejected(_)));
    let text = "CLIENT_ERROR cannot increment or decrement non-numeric value\r\n";
    assert!(matches!(error(text), Error::NotANumber));
    for bytes in [
        "HD\r\n",
        "VA 1\r\nx\r\n",
        "VA 1\r\n\r\n",
        "END\r\n",
        "MN\r\n",
    ] {
        assert!(matches!(error(bytes), Error::Garbled(_)), "{bytes}");
    }
    let refused = answer(&Request::NoOp, "ERROR\r\n").unwrap_err();
    assert!(refused.is_refusal());
    assert!(!answer(&Request::NoOp, "HD\r\n").unwrap_err().is_refusal());
}
