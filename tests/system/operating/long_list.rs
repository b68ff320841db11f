//! `memcached.list` of a pool with so many servers that one reply cannot carry them all.

use support::Kamailio;

use super::http::post;

#[test]
fn a_list_too_long_for_kamcmd_is_had_by_parts_or_by_http() {
    let all: Vec<String> = (0..1000)
        .map(|number| format!("10.0.{}.{}:11211", number / 250, number % 250 + 1))
        .collect();
    let kamailio = Kamailio::builder()
        .param("servers", "127.0.0.1")
        .rpc()
        .param("pool", format!("name=large;servers={}", all.join(",")))
        .module("xhttp")
        .tcp()
        // HTTP, and the datagrams of all tests.
        .param_of("jsonrpcs", "transport", 5)
        .routes("event_route[xhttp:request] { jsonrpc_dispatch(); }")
        .start();
    let list = |args: &[&str]| kamailio.try_rpc("memcached.list", args);
    let count = |answer: &str, mark: &str| answer.matches(mark).count();
    assert_eq!(list(&[]), Err("ERROR: reply too big".into()));
    let answer = list(&["default"]).expect("an answer");
    assert_eq!(count(&answer, "address: "), 1);
    let answer = list(&["large", &all[777]]).expect("an answer");
    assert_eq!(count(&answer, "address: "), 1, "{answer}");
    assert!(answer.contains(&all[777]), "{answer}");
    let refused = list(&["default", &all[777]]).expect_err("it is in the other pool");
    assert!(
        refused.contains("unknown server '10.0.3.28:11211'"),
        "{refused}"
    );
    let answer = post(
        &kamailio,
        r#"{"jsonrpc":"2.0","id":1,"method":"memcached.list"}"#,
    );
    assert_eq!(count(&answer, r#""address":"#), 1001);
}
