use super::*;
use crate::kamailio::fake::{Turn, serve};
use crate::kamailio::host::layout::{PV_INT, PV_NULL, PV_STR, PV_TYPE_INT, PvValue64};
use std::mem::MaybeUninit;

/// A variable as the core keeps it.
struct Spec(Box<PvSpec>);

impl Spec {
    fn parse(inner: &str) -> Option<Self> {
        Self::parse_by(parse_name::mct, inner)
    }

    fn parse_by(parse_name: NameParser, inner: &str) -> Option<Self> {
        // SAFETY: all bits zero is a valid `pv_spec_t`.
        let mut spec = Box::new(unsafe { MaybeUninit::<PvSpec>::zeroed().assume_init() });
        let mut inner = Str::borrowed(inner.as_bytes());
        // SAFETY: it gets what the core would pass.
        (unsafe { parse_name(&raw mut *spec, &raw mut inner) } == 0).then(|| Self(spec))
    }

    fn read(&mut self, getter: PvGetter) -> Read {
        let rs = Str {
            s: ptr::null_mut(),
            len: 0,
        };
        let mut value = PvValue64 {
            rs,
            ri: 0,
            flags: 0,
        };
        // SAFETY: it gets what the core would pass.
        unsafe {
            let done = getter(
                ptr::null_mut(),
                &raw mut self.0.pvp,
                (&raw mut value).cast(),
            );
            assert_eq!(done, 0);
            Read {
                text: value.rs.bytes().to_vec(),
                number: value.ri,
                flags: value.flags,
            }
        }
    }

    fn assign(&mut self, setter: PvSetter, text: &[u8], number: i64, flags: c_int) -> c_int {
        let mut value = PvValue64 {
            rs: Str::borrowed(text),
            ri: number,
            flags,
        };
        // SAFETY: it gets what the core would pass.
        unsafe {
            setter(
                ptr::null_mut(),
                &raw mut self.0.pvp,
                254,
                (&raw mut value).cast(),
            )
        }
    }
}

impl Drop for Spec {
    fn drop(&mut self) {
        let name = &raw mut self.0.pvp.pvn;
        // SAFETY: the core frees a name in the same way.
        unsafe { (*name).nfree.unwrap()(name) };
    }
}

#[derive(Debug, PartialEq)]
struct Read {
    text: Vec<u8>,
    number: i64,
    flags: c_int,
}

const NULL: Read = Read {
    text: vec![],
    number: 0,
    flags: PV_NULL,
};

fn text(bytes: &[u8]) -> Read {
    Read {
        text: bytes.to_vec(),
        number: 0,
        flags: PV_STR,
    }
}

fn status() -> Read {
    Spec::parse("unused").unwrap().read(get_status)
}

#[test]
#[cfg_attr(miri, ignore = "uses a socket")]
fn every_variable_sends_its_request_and_returns_the_answer() {
    let (address, server) = serve(&[
        "STORED\r\n",
        "STORED\r\n",
        "VALUE k 0 2\r\n41\r\nEND\r\n",
        "VALUE k 1 1\r\n\0\r\nEND\r\n",
        "42\r\n",
        "NOT_FOUND\r\n",
        "40\r\n",
        "TOUCHED\r\n",
        "DELETED\r\n",
        "END\r\n",
    ]);
    let turn = Turn::with_servers(&address);
    let mut k = Spec::parse("k").unwrap();
    assert_eq!(status(), NULL);
    assert_eq!(k.assign(assign_item, b"", 41, PV_INT | PV_TYPE_INT), 0);
    turn.set_variable(b"60");
    assert_eq!(
        Spec::parse("k=>$v")
            .unwrap()
            .assign(assign_item, b"x", 0, PV_STR),
        0
    );
    let number = Read {
        text: b"41".into(),
        number: 41,
        flags: PV_STR | PV_INT | PV_TYPE_INT,
    };
    assert_eq!(k.read(get_item), number);
    assert_eq!(k.read(get_item), text(b"\0"));
    assert_eq!(status(), text(b"hit"));
    assert_eq!(k.assign(count_up, b"", 1, PV_INT), 0);
    assert_eq!(k.assign(count_down, b"7", 0, PV_STR), 0);
    assert_eq!(status(), text(b"miss"));
    assert_eq!(k.assign(count_up, b"", -2, PV_INT), 0);
    assert_eq!(k.assign(assign_lifetime, b"", 1000, PV_INT), 0);
    assert_eq!(k.assign(assign_item, b"", 0, PV_NULL), 0);
    assert_eq!(status(), text(b"deleted"));
    assert_eq!(k.read(get_item), NULL);
    assert_eq!(k.read(get_null), NULL);
    drop(turn);
    assert_eq!(
        server.join().unwrap(),
        [
            "set k 0 10800 2\r\n41\r\n",
            "set k 1 60 1\r\nx\r\n",
            "get k\r\n",
            "get k\r\n",
            "incr k 1\r\n",
            "decr k 7\r\n",
            "decr k 2\r\n",
            "touch k 1000\r\n",
            "delete k\r\n",
            "get k\r\n",
        ]
    );
}

#[test]
#[cfg_attr(miri, ignore = "uses a socket")]
fn what_a_variable_expands_to_is_never_cut_nor_sent_raw() {
    let (address, server) = serve(&["END\r\n", "END\r\n"]);
    let turn = Turn::with_servers(&address);
    turn.set_variable(b"x=>60");
    assert_eq!(Spec::parse("$v").unwrap().read(get_item), NULL);
    turn.set_variable(b"x\r\nflush_all");
    assert_eq!(Spec::parse("$v").unwrap().read(get_item), NULL);
    drop(turn);
    let digest = format!("get {:x}\r\n", md5::compute(b"x\r\nflush_all"));
    assert_eq!(server.join().unwrap(), ["get x=>60\r\n", &digest]);
}

#[test]
fn a_variable_has_its_name_and_text() {
    let _turn = Turn::without_server();
    let mut seen = 0;
    let keyed = |row: &&PvExport| row.setf.is_some();
    for row in TABLE.0.iter().filter(keyed) {
        let mut spec = Spec::parse_by(row.parse_name.unwrap(), "$v").unwrap();
        // SAFETY: the names of the table are texts, and the variable was just parsed.
        let (name, variable) = unsafe { (row.name.bytes(), Variable::of(&raw mut spec.0.pvp)) };
        let expected = format!("${}($v)", String::from_utf8_lossy(name));
        assert_eq!(variable.to_string(), expected);
        seen += 1;
    }
    assert_eq!(seen, 4);
}

#[test]
#[cfg_attr(miri, ignore = "looks at log lines")]
fn a_lifetime_has_no_effect_in_other_variables_than_mct() {
    let turn = Turn::without_server();
    let warns = |parser: NameParser, inner: &str| {
        assert!(Spec::parse_by(parser, inner).is_some(), "{inner}");
        turn.lines()
    };
    for inner in ["k=>60", "k=>$v"] {
        assert!(warns(parse_name::mct, inner).is_empty());
    }
    for inner in ["k", "k=>", "k => "] {
        assert!(warns(parse_name::mctex, inner).is_empty());
    }
    // The module has started, so only the first name is logged.
    let lines = warns(parse_name::mcinc, "k=>60");
    assert_eq!(lines.len(), 1, "{lines:?}");
    let line = "the lifetime in '$mcinc(k=>60)' has no effect; accepted: ";
    assert!(
        lines[0].starts_with("WARNING: ") && lines[0].contains(line),
        "{lines:?}"
    );
    assert!(warns(parse_name::mctex, "k=>60").is_empty());
}

#[test]
fn bad_names_are_refused_when_the_configuration_is_read() {
    let turn = Turn::without_server();
    for bad in [
        "=>5", "k=>60s", "k=>1.5", "k=>-5", "a=>b=>5", "k=>5=>6", "k$",
    ] {
        assert!(Spec::parse(bad).is_none(), "{bad}");
        let lines = turn.lines();
        assert!(
            cfg!(miri) || lines.iter().any(|line| line.contains(bad)),
            "{lines:?}"
        );
    }
    for good in [
        "k",
        "k=>60",
        "k => 0 ",
        "k=>",
        "k=>99999999999999999999",
        "$v=>$v",
        "k$$",
    ] {
        assert!(Spec::parse(good).is_some(), "{good}");
    }
}

#[test]
fn impossible_operations_are_refused_and_the_core_is_told() {
    let turn = Turn::without_server();
    let refused = |done: c_int| {
        assert_eq!((done, status()), (-1, text(b"refused")));
        let lines = turn.lines();
        assert!(
            cfg!(miri) || lines.len() == 1 && lines[0].contains("accepted: "),
            "{lines:?}"
        );
    };
    let mut k = Spec::parse("k").unwrap();
    refused(k.assign(count_up, b"x", 0, PV_STR));
    refused(k.assign(count_down, b"", 0, PV_NULL));
    refused(k.assign(assign_lifetime, b"", -1, PV_INT));
    refused(k.assign(assign_lifetime, b"", 0, PV_NULL));
    turn.set_variable(b"soon");
    refused(
        Spec::parse("k=>$v")
            .unwrap()
            .assign(assign_item, b"x", 0, PV_STR),
    );
    drop(turn);
    let turn = Turn::without_server();
    turn.set_variable(b"");
    assert_eq!(Spec::parse("$v").unwrap().read(get_item), NULL);
    assert_eq!(status(), text(b"refused"));
    turn.set_variable(&[b'x'; 200_000]);
    assert_eq!(Spec::parse("$v").unwrap().read(get_item), NULL);
    assert_eq!(status(), text(b"refused"));
}

#[test]
#[cfg_attr(miri, ignore = "uses a socket")]
fn an_outage_is_null_and_no_error_to_the_core() {
    let turn = Turn::without_server();
    let mut k = Spec::parse("k").unwrap();
    assert_eq!(k.read(get_item), NULL);
    assert_eq!(status(), text(b"down"));
    assert_eq!(k.assign(assign_item, b"secret", 0, PV_STR), 0);
    assert_eq!(status(), text(b"down"));
    let lines = turn.lines();
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert!(lines[0].starts_with("WARNING: memcached ["), "{lines:?}");
    let why = "server 127.0.0.1:1 is inactive: down: cannot connect";
    assert!(
        lines[0].contains(why) && lines[0].contains("get of key 'k'"),
        "{lines:?}"
    );
    assert!(!lines[0].contains("secret"));
}
