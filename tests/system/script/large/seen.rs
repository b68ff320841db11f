//! What operators see of large values, and how large they may be.

use super::*;

#[test]
fn operators_see_the_parts() {
    let memcached = Memcached::start();
    let kamailio = Kamailio::on(&memcached)
        .rpc()
        .param_of("jsonrpcs", "transport", 5)
        .module("xhttp")
        .tcp()
        .routes("event_route[xhttp:request] { jsonrpc_dispatch(); }")
        .start();
    let shown = |name: &str| {
        let body = r#"{"jsonrpc":"2.0","id":1,"method":"memcached.get","params":["k"]}"#;
        let answer = crate::operating::http::post(&kamailio, body);
        let answer: Json = serde_json::from_str(&answer).expect("JSON");
        answer["result"][name].as_str().map(str::to_owned)
    };
    memcached.put("~1k/0", 1, 0, "x".repeat(PART));
    memcached.put("~1k/1", 1, 0, "y");
    memcached.put("k", SPLIT | 1, 0, "2");
    assert_eq!(shown("stored_as").as_deref(), Some("plain, 2 parts"));
    assert_eq!(shown("stored_size").as_deref(), Some("1000001"));
    assert_eq!(shown("size").as_deref(), Some("1000001"));
    memcached.remove("~1k/1");
    assert_eq!(shown("answer").as_deref(), Some("miss"));
    memcached.put("k", SPLIT | 1, 0, "x");
    assert_eq!(shown("answer").as_deref(), Some("garbled"));
    assert_eq!(shown("value").as_deref(), Some("x"));
}

#[test]
fn a_value_that_is_put_together_has_a_limit() {
    let site = Site::start();
    let kamailio = site.builder().param("value_limit", 2_500_000).start();
    let pool = |len: usize| {
        let value = noise(len);
        for (number, part) in value.chunks(PART).enumerate() {
            site.split.put(format!("~1k/{number}"), 1, 0, part);
        }
        site.split.put("k", SPLIT | 1, 0, "3");
    };
    pool(2_500_000);
    assert_eq!(kamailio.run("read")["$var(len)"], Value::Int(2_500_000));
    pool(2_500_001);
    assert_eq!(null(&kamailio), "too_large");
}
