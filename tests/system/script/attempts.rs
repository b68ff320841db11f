//! Failed logins that are counted, as the documentation of htable recommends against dictionary attacks, with
//! `$mct` in the place of `$sht`: three failures, then banned.

use support::{Kamailio, Memcached, Request};

const HTABLE: &str = r#"
    $var(said) = "";
    if ($mct($au::auth_count) >= 3) {
        $var(exp) = $Ts - 900;
        if ($mct($au::last_auth) > $var(exp)) {
            $var(said) = "banned";
        } else {
            $mct($au::auth_count) = 0;
        }
    }
    if ($var(said) != "banned") {
        if ($mct($au::auth_count) == $null) $mct($au::auth_count) = 0;
        $mct($au::auth_count) = $mct($au::auth_count) + 1;
        $mct($au::last_auth) = $Ts;
        $var(said) = "fail " + $mct($au::auth_count);
    }"#;

/// With the source address in the key, and one round trip to count.
const COUNTED: &str = r#"
    $var(said) = "";
    $var(ip) = $si;
    if ($mct(ban:$var(ip)::$au::n) >= 3) {
        $var(said) = "banned";
    } else {
        $mcinc(ban:$var(ip)::$au::n) = 1;
        if ($mct(ban:$var(ip)::$au::n) == $null) $mct(ban:$var(ip)::$au::n=>920) = 1;
        $var(said) = "fail " + $mct(ban:$var(ip)::$au::n);
    }"#;

#[test]
fn three_failed_logins_ban_the_caller() {
    let memcached = Memcached::start();
    let kamailio = Kamailio::on(&memcached)
        .module("auth")
        .script("htable", HTABLE, &["$var(said)"])
        .script("counted", COUNTED, &["$var(said)"])
        .start();
    let of = |user: &str| {
        let digest = format!(
            r#"Digest username="{user}", realm="x", nonce="1", uri="sip:x", response="{}""#,
            "0".repeat(32)
        );
        Request::options().header("Authorization", digest)
    };
    for script in ["htable", "counted"] {
        for user in ["bob", "alice"] {
            for expected in ["fail 1", "fail 2", "fail 3", "banned", "banned"] {
                let answer = kamailio.run_with(script, of(user));
                assert_eq!(answer["$var(said)"], expected, "{script}, {user}");
            }
        }
    }
}
