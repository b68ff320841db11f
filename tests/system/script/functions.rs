//! `$mct` as the parameter of functions, in log lines and replies, and on its way into
//! other variables.

use support::{Kamailio, Memcached, Request, wait};

use super::items::memcached;

#[test]
fn functions_take_it_as_parameter() {
    let memcached = memcached();
    memcached.put("reason", 1, 0, "Gone Fishing");
    memcached.put("code", 0, 0, "480");
    let kamailio = Kamailio::on(&memcached)
        .request_route(
            r#"
            append_to_reply("X-Name: $mct(name)=$mct(n)\r\n");
            append_to_reply("X-Nested: $mct($mct(name))\r\n");
            if (is_present_hf("Via") && subst_hf("Via", "/x/$mct(name)/", "a")) $var(x) = 1;
            sl_send_reply("$mct(code)", "$mct(reason)");
            "#,
        )
        .start();
    let response = kamailio.sip(Request::options());
    assert_eq!((response.code, &response.reason[..]), (480, "Gone Fishing"));
    assert_eq!(response.text("X-Name"), Some("alice=7"));
    assert_eq!(response.text("X-Nested"), Some("wonderland"));
}

#[test]
fn several_parameters_of_one_function_keep_their_values() {
    let memcached = memcached();
    let kamailio = Kamailio::on(&memcached)
        .module("cfgutils")
        .script(
            "run",
            "if (core_hash(\"$mct(name)\", \"$mct(alice)\", \"16\") > 0) $var(result) = $rc;",
            &["$var(result)"],
        )
        .script(
            "same",
            "if (core_hash(\"alice\", \"wonderland\", \"16\") > 0) $var(result) = $rc;",
            &["$var(result)"],
        )
        .start();
    let hash = kamailio.run("run")["$var(result)"].clone();
    assert_eq!(hash, kamailio.run("same")["$var(result)"]);
    assert_ne!(hash, 0);
}

#[test]
fn log_lines_of_the_script_print_it() {
    let memcached = memcached();
    let kamailio = Kamailio::on(&memcached)
        .script(
            "log",
            r#"xlog("L_WARN", "[$mct(name)|$mct(n)|$mct(minus)|$mct($mct(name))|$mct(none)|$mct(big)]\n");"#,
            &[],
        )
        .start();
    kamailio.run("log");
    kamailio.wait_for_log(
        "[alice|7|-12|wonderland|<null>|5000000000]",
        wait::WAIT_LIMIT,
    );
}

#[test]
fn a_message_can_be_changed_with_it() {
    let memcached = Memcached::start();
    memcached.put("uri", 1, 0, "sip:bob@example.com:5099;transport=tcp");
    memcached.put("user", 1, 0, "carol");
    memcached.put("port", 0, 0, "5070");
    let kamailio = Kamailio::on(&memcached)
        .script(
            "set",
            "$ru = $mct(uri); $var(before) = $ru; $rU = $mct(user); $rp = $mct(port);",
            &["$var(before)", "$ru"],
        )
        .start();
    let answer = kamailio.run("set");
    assert_eq!(
        answer["$var(before)"],
        "sip:bob@example.com:5099;transport=tcp"
    );
    assert_eq!(answer["$ru"], "sip:carol@example.com:5070;transport=tcp");
}

#[test]
fn other_containers_take_its_value_and_type() {
    let memcached = memcached();
    let kamailio = Kamailio::on(&memcached)
        .module("htable")
        .param_of("htable", "htable", "t=>size=4;")
        .script(
            "run",
            "$avp(a) = $mct(name); $xavp(x=>n) = $mct(n); $sht(t=>k) = $mct(alice); $shv(s) = $mct(n);",
            &["$avp(a)", "$xavp(x=>n)", "$sht(t=>k)", "$shv(s)"],
        )
        .param_of("pv", "shvset", "s=i:1")
        .start();
    let answer = kamailio.run("run");
    assert_eq!(answer["$avp(a)"], "alice");
    assert_eq!(answer["$xavp(x=>n)"], 7);
    assert_eq!(answer["$sht(t=>k)"], "wonderland");
    assert_eq!(answer["$shv(s)"], 7);
}

#[test]
fn the_results_of_this_script_are_written_back_at_once() {
    let memcached = memcached();
    let chain =
        "$mct(x) = $mct(name) + \"-\" + $mct(n); $mct(y) = $mct(n) + 1; $mct($mct(x)) = $mct(y);";
    Kamailio::on(&memcached).eval(chain, "$mcst");
    memcached.assert_holds("x", 1, "alice-7");
    memcached.assert_holds("y", 0, "8");
    memcached.assert_holds("alice-7", 0, "8");
}
