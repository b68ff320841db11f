//! Kamailio starts, answers, tells and ends; the C module stands in for ours.

use support::{Builder, Kamailio, Memcached, Request, Value};

fn with(memcached: &Memcached) -> Builder {
    Kamailio::builder().stock_module().memcached(memcached)
}

#[test]
fn a_value_goes_to_memcached_and_comes_back() {
    let memcached = Memcached::start();
    let kamailio = with(&memcached)
        .script("write", r#"$mct(a=>60) = "x y";"#, &[])
        .script("read", "", &["$mct(a)", "$mct(b)"])
        .start();
    kamailio.run("write");
    let item = memcached.item("a").unwrap();
    assert_eq!((item.flags, &item.value[..]), (1, &b"x y"[..]));
    assert!((55..=60).contains(&item.ttl), "{item:?}");
    let answer = kamailio.run("read");
    assert_eq!(answer["$mct(a)"], "x y");
    assert_eq!(answer["$mct(b)"], Value::Null);
    assert!(kamailio.stop().success());
}

#[test]
fn one_statement_takes_one_line() {
    let memcached = Memcached::start();
    memcached.put("n", 0, 0, "41");
    assert_eq!(with(&memcached).eval("$mcinc(n) = 1;", "$mct(n)"), 42);
    assert_eq!(memcached.text("n").as_deref(), Some("42"));
}

#[test]
fn a_unix_socket_will_do() {
    let memcached = Memcached::unix();
    memcached.put("k", 1, 0, "v");
    assert_eq!(with(&memcached).eval("", "$mct(k)"), "v");
}

#[test]
fn values_come_back_with_type_and_every_byte() {
    let statements = r#"
        $var(h) = "610d0a0062";
        $var(s) = $(var(h){s.decode.hexa});
        $var(e) = "";
        return;
        $var(s) = "not reached";
    "#;
    let asked = [
        "$var(s)",
        "$var(e)",
        "$hdr(X-None)",
        "-7",
        "$rm",
        "$hdr(X-Key)",
        "$pp",
    ];
    let kamailio = Kamailio::builder()
        .without_module()
        .script("types", statements, &asked)
        .start();
    let request = Request::options().header("X-Key", b"one\r\n two\xff");
    let answer = kamailio.run_with("types", request);
    assert_eq!(answer["$var(s)"], b"a\r\n\0b");
    assert_eq!(answer["$var(e)"], "");
    assert_eq!(answer["$hdr(X-None)"], Value::Null);
    assert_eq!(answer["-7"], -7);
    assert_eq!(answer["$rm"], "OPTIONS");
    assert_eq!(answer["$hdr(X-Key)"], b"one\r\n two\xff");
    assert_eq!(answer["$pp"], i64::from(kamailio.workers()[0].0));
}
