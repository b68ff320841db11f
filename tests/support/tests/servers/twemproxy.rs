//! Tests that a twemproxy spreads keys over real servers.

use std::io::{Read, Write};
use std::net::TcpStream;

use support::{Memcached, Twemproxy};

const OPTIONS: [&str; 2] = ["hash: md5", "distribution: ketama"];

#[test]
fn keys_reach_the_servers_behind_it() {
    let memcached = [Memcached::start(), Memcached::start()];
    let servers: Vec<String> = ["a", "b"]
        .iter()
        .zip(&memcached)
        .map(|(name, memcached)| format!("{}:1 {name}", memcached.address()))
        .collect();
    let servers: Vec<&str> = servers.iter().map(String::as_str).collect();
    let proxy = Twemproxy::start(&OPTIONS, &servers);
    let mut client = TcpStream::connect(proxy.address()).unwrap();
    for number in 0..20 {
        client
            .write_all(format!("set key{number} 0 0 1\r\nx\r\n").as_bytes())
            .unwrap();
        let mut reply = [0; 8];
        client.read_exact(&mut reply).unwrap();
        assert_eq!(&reply, b"STORED\r\n");
    }
    let [one, other] = memcached.map(|memcached| memcached.len());
    assert_eq!(one + other, 20);
    assert!(one > 0 && other > 0, "{one} and {other}");
}

#[test]
fn a_wrong_configuration_is_told() {
    let start = || Twemproxy::start(&["hash: nonsense"], &["127.0.0.1:1:1"]);
    let result = std::panic::catch_unwind(start);
    let text = *result.unwrap_err().downcast::<String>().unwrap();
    assert!(text.contains("twemproxy did not start"), "{text}");
    assert!(text.contains("syntax is invalid"), "{text}");
}
