//! The parameter `servers`: which addresses are accepted, refused, and reached.

use support::{Check, Kamailio, Memcached, Scratch, wait};

fn check(servers: &str) -> Check {
    Kamailio::builder().param("servers", servers).check()
}

#[track_caller]
fn assert_refused(servers: &str, parts: &[&str]) {
    check(servers).assert_refused(&[&["parameter 'servers': "], parts].concat());
}

#[test]
fn a_server_that_cannot_be_one_is_refused() {
    for (servers, fault) in [
        ("", "no server"),
        ("  ", "no server"),
        ("127.0.0.1:0", "port '0'"),
        ("127.0.0.1:65536", "port '65536'"),
        ("127.0.0.1:99999", "port '99999'"),
        ("127.0.0.1:", "port ''"),
        ("127.0.0.1:-1", "port '-1'"),
        ("127.0.0.1:http", "port 'http'"),
        (":11211", "empty address"),
        ("127.0.0.1:11211 one two", "'two'"),
        ("127.0.0.1:11211:1:1", "'1'"),
        ("127.0.0.1:11211/x", "port '11211/x'"),
        ("127.0.0.1:11211:0", "weight '0'"),
        ("127.0.0.1:11211:1001", "weight '1001'"),
        ("127.0.0.1:11211:", "weight ''"),
        ("127.0.0.1 a/b", "alias 'a/b'"),
        ("127.0.0.300", "invalid IPv4 address"),
        ("127.0.0.1.", "invalid IPv4 address"),
        ("::1", "without brackets"),
        ("fe80::1:11211", "without brackets"),
        ("[::1", "invalid IPv6 address"),
        ("[::g]", "invalid IPv6 address"),
        ("[::1]11211", "'11211'"),
        ("host_name!", "invalid host name"),
        ("/", "path"),
        ("/run/memcached.sock:11211", "weight '11211'"),
        ("127.0.0.1,", "empty"),
        (",127.0.0.1", "empty"),
        ("127.0.0.1,,127.0.0.2", "empty"),
        ("127.0.0.1,127.0.0.1", "listed twice"),
        ("127.0.0.1:11211,127.0.0.1", "listed twice"),
        ("127.0.0.1,[::ffff:127.0.0.1]", "listed twice"),
        ("[::1],[0:0:0:0:0:0:0:1]:11211", "listed twice"),
        ("/run/mc.sock,/run//mc.sock", "listed twice"),
        ("0x7f000001", "invalid IPv4 address"),
        ("127.0.0.1 a,127.0.0.2 a", "'a'"),
    ] {
        assert_refused(
            servers,
            &[fault, "; accepted: address[:port][:weight] [alias]"],
        );
    }
}

#[test]
fn the_refused_item_is_named() {
    assert_refused(
        "127.0.0.1:99999",
        &["invalid port '99999' in '127.0.0.1:99999'"],
    );
}

#[test]
fn every_form_of_one_server_is_accepted() {
    for servers in [
        "localhost",
        "localhost:11211",
        "cache-1.example.com",
        "does.not.resolve.invalid:11311",
        "127.0.0.1",
        "127.0.0.1:1",
        "127.0.0.1:65535",
        "127.0.0.1:11211:1000",
        "127.0.0.1:11211 one",
        " 127.0.0.1:11211 ",
        "[::1]",
        "[::1]:11211",
        "[fe80::1%eth0]:11211:2 six",
        "/run/memcached.sock",
        "/run/memcached.sock:0",
        "/run/memcached.sock:3 local",
    ] {
        assert!(check(servers).ok, "{servers:?} is refused");
    }
}

#[test]
fn every_kind_of_address_is_reached() {
    let (v4, v6, unix) = (Memcached::start(), Memcached::v6(), Memcached::unix());
    let cases = [
        (&v4, v4.address().to_owned()),
        (&v4, format!("localhost:{}", v4.port())),
        (&v4, format!(" {}:7 alias ", v4.address())),
        (&v6, v6.address().to_owned()),
        (&unix, unix.address().to_owned()),
        (&unix, format!("{}:0", unix.address())),
        (&unix, format!("{}:5 alias", unix.address())),
    ];
    for (memcached, servers) in cases {
        memcached.remove("k");
        let builder = Kamailio::builder().param("servers", &servers[..]);
        assert_eq!(builder.eval("$mct(k) = 5;", "$mct(k)"), 5, "{servers}");
        memcached.assert_holds("k", 0, "5");
    }
}

#[test]
fn a_name_that_does_not_resolve_is_a_server_that_is_down() {
    let builder = Kamailio::builder().param("servers", "does.not.resolve.invalid");
    let kamailio = builder.script("read", "", &["$mct(k)", "$mcst"]).start();
    let answer = kamailio.run("read");
    assert!(answer["$mct(k)"].is_null());
    assert_eq!(answer["$mcst"], "down");
    kamailio.wait_for_log(
        "server does.not.resolve.invalid:11211 is inactive: down: the server's name has no address",
        wait::WAIT_LIMIT,
    );
}

#[test]
fn a_socket_that_is_not_there_is_a_server_that_is_down() {
    let scratch = Scratch::new();
    let path = scratch.join("none.sock").display().to_string();
    assert_eq!(
        Kamailio::builder()
            .param("servers", path)
            .eval("$mct(k) = 5;", "$mcst"),
        "down"
    );
}
