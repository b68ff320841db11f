use proptest::prelude::*;

use super::*;

fn tcp(host: &str, port: u16, weight: u16) -> ServerSpec {
    let host = host.to_owned();
    ServerSpec {
        address: Address::Tcp { host, port },
        weight,
        alias: None,
    }
}

fn unix(path: &str, weight: u16) -> ServerSpec {
    ServerSpec {
        address: Address::Unix(path.to_owned()),
        weight,
        alias: None,
    }
}

fn named(server: ServerSpec, alias: &str) -> ServerSpec {
    let alias = Some(alias.to_owned());
    ServerSpec { alias, ..server }
}

fn refusal(list: &str) -> String {
    match parse_list(list) {
        Ok(servers) => panic!("{list:?} was accepted as {servers:?}"),
        Err(refusal) => refusal.to_string(),
    }
}

#[test]
fn every_form_of_a_server_is_accepted() {
    let forms = [
        ("localhost", tcp("localhost", 11211, 1)),
        ("mc_1.example.com:11311", tcp("mc_1.example.com", 11311, 1)),
        ("127.0.0.1:1:1000", tcp("127.0.0.1", 1, 1000)),
        ("[::1]", tcp("::1", 11211, 1)),
        ("[2001:DB8::1]:65535:2", tcp("2001:DB8::1", 65535, 2)),
        ("[fe80::1%eth0]:11311", tcp("fe80::1%eth0", 11311, 1)),
        ("/run/mc.sock", unix("/run/mc.sock", 1)),
        ("/run/mc.sock:7", unix("/run/mc.sock", 7)),
        ("/run/mc.sock:0", unix("/run/mc.sock", 1)),
        ("  a:1 \t mc-a ", named(tcp("a", 1, 1), "mc-a")),
        ("/run/mc.sock 1.x_", named(unix("/run/mc.sock", 1), "1.x_")),
    ];
    for (text, expected) in forms {
        assert_eq!(text.parse(), Ok(expected), "{text}");
    }
}

#[test]
fn a_refusal_names_item_fault_and_accepted_form() {
    assert_eq!(
        refusal("a, 127.0.0.1:0 x"),
        "invalid port '0' in '127.0.0.1:0 x'; accepted: address[:port][:weight] [alias]; address: \
         host name, IPv4, [IPv6] or /unix/path (without port); port: 1 to 65535; weight: 1 to 1000"
    );
}

#[test]
fn what_no_operator_means_is_refused() {
    let refused = [
        ("", "no server"),
        (" \t", "no server"),
        ("a,", "empty entry in the list"),
        (",a", "empty entry in the list"),
        ("a, ,b", "empty entry in the list"),
        (":11211", "empty address"),
        ("[]", "invalid IPv6 address in"),
        ("[::1", "invalid IPv6 address in"),
        ("[127.0.0.1]", "invalid IPv6 address in"),
        ("[::1%]", "invalid IPv6 address in"),
        ("[::1]11211", "unexpected '11211'"),
        ("::1", "without brackets"),
        ("2001:db8::1", "without brackets"),
        ("fe80::1%eth0", "without brackets"),
        ("2001:db8::1:11211:5", "without brackets"),
        ("mc:1:2:3", "unexpected '3'"),
        ("1:2:3:4:5:6:7:8:11211:1", "without brackets"),
        ("[::1]:1:2:3", "unexpected '3'"),
        ("127.0.0.1:", "invalid port ''"),
        ("a:65536", "invalid port '65536'"),
        ("a:+5", "invalid port '+5'"),
        ("a:http", "invalid port 'http'"),
        ("mc::2", "invalid port ''"),
        ("a:1:", "invalid weight ''"),
        ("a:1:0", "invalid weight '0'"),
        ("a:1:1001", "invalid weight '1001'"),
        ("a:1:2 b c", "unexpected 'c'"),
        ("a b/c", "invalid alias 'b/c'"),
        ("a :11211", "invalid alias ':11211'"),
        ("127.0.0.256", "invalid IPv4 address in"),
        ("127.1", "invalid IPv4 address in"),
        ("11211", "invalid IPv4 address in"),
        ("127.0.0.01", "invalid IPv4 address in"),
        ("0x7f.1", "invalid IPv4 address in"),
        ("0X7F000001:1", "invalid IPv4 address in"),
        ("a;b", "invalid host name in"),
        ("-a", "invalid host name in"),
        ("jürgen", "invalid host name in"),
        ("/", "invalid path in"),
        ("/run/mc\u{7f}", "invalid path in"),
        ("/run/mc:", "invalid weight ''"),
        ("/run/mc:11211:1", "invalid weight '11211:1'"),
    ];
    for (list, fault) in refused {
        let line = refusal(list);
        assert!(line.contains(fault), "{list:?} was refused with {line:?}");
        assert!(!line.contains(char::is_control), "{line:?}");
    }
    assert!(refusal(&"a".repeat(254)).contains("longer than 253"));
    assert!(refusal(&format!("/{}", "a".repeat(107))).contains("longer than 107"));
}

#[test]
fn a_server_is_listed_once_however_it_is_spelt() {
    for twice in [
        "a,a:11211",
        "a:1,A:1:5 other",
        "[::1],[0:0::1]",
        "[::1],[0:0:0:0:0:0:0:1]:11211:2 x",
        "[::1],[0000:0000:0000:0000:0000:0000:0000:0001]",
        "[2001:db8::a],[2001:DB8::A]",
        "127.0.0.1:1,[::ffff:127.0.0.1]:1",
        "[::FFFF:7f00:1],127.0.0.1",
        "[::ffff:127.0.0.1],[0:0:0:0:0:ffff:7f00:1] x",
        "[fe80::1%eth0],[FE80:0::1%eth0]",
        "/run/a,/run/a:0",
        "/run/a,/run//a",
        "/run/./a/,/run/a x",
    ] {
        assert!(refusal(twice).contains("is listed twice"), "{twice}");
    }
    for different in [
        "a:1,a:2,[::1]:1,/run/a",
        "127.0.0.1,[::1],[::127.0.0.1]",
        "[fe80::1],[fe80::1%eth0],[fe80::1%ETH0]",
        "/run/a,/run/A,/run/b/../a",
    ] {
        assert!(parse_list(different).is_ok(), "{different}");
    }
}

/// If an alias is another server's address, both would have the same points.
#[test]
fn a_name_is_given_once() {
    for twice in ["a x,b x", "a,b:1 a", "b:1 a,a"] {
        assert!(refusal(twice).contains("duplicate name"), "{twice}");
    }
    assert!(parse_list("a:1 a,b x,c X").is_ok());
}

#[test]
fn a_list_has_an_end() {
    let list = |n: usize| (1..=n).map(|port| format!("a:{port}")).collect::<Vec<_>>();
    assert!(parse_list(&list(MAX_SERVERS).join(",")).is_ok());
    let line = refusal(&list(MAX_SERVERS + 1).join(","));
    assert!(line.starts_with("'a:1001' is one more than 1000"), "{line}");
}

/// The shared memory has room for every list that is accepted.
#[test]
fn a_list_has_a_size() {
    let list = |name: usize| {
        let items = (1001..=2000).map(|port| format!("{}:{port}", "a".repeat(name)));
        items.collect::<Vec<_>>().join(",")
    };
    // The port, the weight and the line end of each server make 8 bytes.
    assert!(parse_list(&list(56)).is_ok());
    let line = refusal(&list(57));
    assert!(
        line.contains("makes the list longer than 64000 bytes"),
        "{line}"
    );
}

#[test]
fn a_file_holds_one_server_a_line() {
    let text = "# pool\r\n\r\n a:1:2 x # the first\n\t\n/run/#1\n  # [::1]\n[::1]";
    let servers = parse_file(text).expect("a good file");
    assert_eq!(
        servers,
        [
            named(tcp("a", 1, 2), "x"),
            unix("/run/#1", 1),
            tcp("::1", 11211, 1)
        ]
    );
}

#[test]
fn a_bad_file_is_refused_with_its_line() {
    let refusal = |text| parse_file(text).unwrap_err();
    assert_eq!(refusal("a\n\n# b\nb:0\n").line(), Some(4));
    assert!(
        refusal("a\na")
            .to_string()
            .starts_with("line 2: server 'a' is listed twice; accepted:")
    );
    assert!(
        refusal("a, b")
            .to_string()
            .starts_with("line 1: invalid host name in 'a, b'")
    );
    assert!(
        refusal("# nothing\n")
            .to_string()
            .starts_with("no server in the list")
    );
}

#[test]
fn an_address_is_written_as_it_is_read() {
    assert_eq!(tcp("a", 11211, 1).address.to_string(), "a:11211");
    assert_eq!(tcp("::1", 5, 1).address.to_string(), "[::1]:5");
    assert_eq!(unix("/run/a", 3).address.to_string(), "/run/a");
    assert_eq!(named(unix("/run/a", 3), "x").to_string(), "/run/a:3 x");
}

fn any_server() -> impl Strategy<Value = ServerSpec> {
    let host = prop_oneof![
        "[a-z_][a-zA-Z0-9_.-]{0,20}",
        any::<std::net::Ipv4Addr>().prop_map(|ip| ip.to_string()),
        any::<std::net::Ipv6Addr>().prop_map(|ip| ip.to_string()),
    ];
    let address = prop_oneof![
        (host, 1..=u16::MAX).prop_map(|(host, port)| Address::Tcp { host, port }),
        "/[^:, \t\r\n\u{b}\u{c}\\pC]{1,25}".prop_map(Address::Unix),
    ];
    let alias = proptest::option::of("[a-zA-Z0-9_.-]{1,20}");
    (address, 1..=MAX_WEIGHT, alias).prop_map(|(address, weight, alias)| ServerSpec {
        address,
        weight,
        alias,
    })
}

proptest! {
    #[test]
    fn a_written_server_parses_to_itself(server in any_server()) {
        prop_assert_eq!(server.to_string().parse(), Ok(server));
    }

    #[test]
    fn any_text_is_read_or_refused_in_one_line(text in "\\PC*|[a:0-9/\\[\\]%.,# \t\n-]*|.*") {
        for outcome in [parse_list(&text), parse_file(&text)] {
            match outcome {
                Ok(servers) => prop_assert!(!servers.is_empty()),
                Err(refusal) => prop_assert_eq!(refusal.to_string().lines().count(), 1),
            }
        }
    }

    /// A list that is accepted stays the same when it is written out and read again.
    #[test]
    fn an_accepted_list_is_stable(text in "([ab]|/x|\\[::1\\])(:[1-9])?( [xy])?(,[ab](:[1-9])?( [xyz])?){0,3}") {
        if let Ok(servers) = parse_list(&text) {
            let written: Vec<String> = servers.iter().map(ServerSpec::to_string).collect();
            prop_assert_eq!(parse_list(&written.join(",")), Ok(servers.clone()));
            prop_assert_eq!(parse_file(&written.join("\n")), Ok(servers));
        }
    }
}
