use super::*;

#[test]
#[cfg_attr(miri, ignore = "uses a socket")]
fn reads_take_what_was_asked_for_together() {
    let (address, server) = serve(&["STORED\r\n", "END\r\n", "VALUE k 1 1\r\nx\r\nEND\r\n"]);
    let turn = Turn::with_servers(&address);
    assert_eq!(call("mct_set", &["k", "x"]), 1);
    assert_eq!(call("mct_prefetch", &["none"]), 1);
    assert_eq!(status(), Some(Status::Stored), "unchanged");
    assert_eq!(call("mct_mget", &["none, default => k, none"]), 1);
    assert_eq!(status(), Some(Status::Hit));
    assert_eq!(call("mct_get", &["k", "$w"]), 1);
    assert_eq!(turn.get('w'), text("x"));
    assert_eq!(call("mct_get", &["none", "$w"]), -1);
    turn.set_variable(b"");
    assert_eq!(call("mct_prefetch", &["$v, k"]), -3);
    assert_eq!(call("mct_mget", &["none, $v"]), -3);
    assert_eq!(status(), Some(Status::Refused));
    drop(turn);
    let expected = ["set k 1 10800 1\r\nx\r\n", "get none\r\n", "get k\r\n"];
    assert_eq!(server.join().unwrap(), expected);
}
