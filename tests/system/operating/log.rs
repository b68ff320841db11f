//! The module's log lines look like the core's own, wherever they go.

use std::net::UdpSocket;

use support::{Builder, Kamailio, wait};

/// A script whose one operation is refused: one line of ours, then two of the core's.
fn refused() -> Builder {
    Kamailio::builder().script("refused", "$mct(k=>$rm) = 1;", &["$mcst", "$pp"])
}

/// Our line and one of the core's about the same failure.
fn pair(log: &str) -> (String, String) {
    let find = |text: &str| {
        let line = log.lines().find(|line| line.contains(text));
        line.unwrap_or_else(|| panic!("no {text:?} in\n{log}"))
            .to_owned()
    };
    (
        find("the lifetime is no number"),
        find("setting pvar failed"),
    )
}

/// `ERROR: <core> [core/lvalue.c:353]: lval_pvar_assign(): text` taken apart: what comes
/// before the module, the module, the function, and the text.
#[track_caller]
fn take_apart(line: &str) -> (String, String, String, String) {
    let take = || {
        let (head, rest) = line.split_once(" [")?;
        let (before, module) = head.rsplit_once(' ')?;
        let (place, rest) = rest.split_once("]: ")?;
        let (file, number) = place.rsplit_once(':')?;
        let (function, text) = rest.split_once("(): ")?;
        let is_file = file.ends_with(".rs") || file.ends_with(".c");
        let fits = is_file && number.parse::<u32>().is_ok();
        fits.then(|| [before, module, function, text].map(String::from).into())
    };
    take().unwrap_or_else(|| panic!("not of the core's form: {line}"))
}

#[test]
fn on_stderr_a_line_is_like_the_core_s() {
    let kamailio = refused().start();
    let answer = kamailio.run("refused");
    let (ours, core) = pair(&kamailio.log());
    let (before, module, function, text) = take_apart(&ours);
    assert_eq!(
        before,
        format!(" 1({}) ERROR:", answer["$pp"].int().unwrap())
    );
    assert_eq!(before, take_apart(&core).0);
    assert_eq!(module, "memcached");
    assert!(!function.is_empty() && function.chars().all(|c| c.is_alphanumeric() || c == '_'));
    assert!(
        text.contains(": refused: the lifetime is no number; accepted: "),
        "{text}"
    );
}

#[test]
fn the_script_s_prefix_stands_where_the_core_puts_it() {
    let kamailio = refused().global(r#"log_prefix="{$rm $rU} ""#).start();
    kamailio.run("refused");
    let (ours, core) = pair(&kamailio.log());
    assert!(
        take_apart(&ours).0.ends_with(" ERROR: {OPTIONS refused}"),
        "{ours}"
    );
    assert_eq!(take_apart(&ours).0, take_apart(&core).0);
}

#[test]
fn colours_are_those_of_the_core() {
    let kamailio = refused().arg("-e").start();
    kamailio.run("refused");
    let (ours, core) = pair(&kamailio.log());
    assert!(ours.starts_with('\x1b'), "{ours:?}");
    assert_eq!(take_apart(&ours).0, take_apart(&core).0);
}

#[test]
fn as_json_a_line_has_the_core_s_members() {
    let kamailio = refused().arg("--log-engine=json").start();
    let answer = kamailio.run("refused");
    let (ours, core) = pair(&kamailio.log());
    let read = |line: &str| serde_json::from_str::<serde_json::Value>(line).expect("JSON");
    let (ours, core) = (read(&ours), read(&core));
    let members = |line: &serde_json::Value| -> Vec<String> {
        line.as_object()
            .expect("an object")
            .keys()
            .cloned()
            .collect()
    };
    assert_eq!(members(&ours), members(&core));
    for member in ["idx", "pid", "level"] {
        assert_eq!(ours[member], core[member], "{member}");
    }
    assert_eq!(ours["pid"], answer["$pp"].int().unwrap());
    assert_eq!(ours["module"], "memcached");
    assert!(ours["file"].as_str().unwrap().ends_with(".rs"));
    assert!(ours["line"].as_u64().unwrap() > 0);
    let message = ours["message"].as_str().unwrap();
    assert!(message.contains("the lifetime is no number"), "{message}");
}

/// Syslog itself is the machine's; a module that takes its place shows what it is told.
#[test]
fn in_syslog_a_line_is_like_the_core_s() {
    let receiver = UdpSocket::bind("127.0.0.1:0").unwrap();
    receiver.set_read_timeout(Some(wait::PATIENCE)).unwrap();
    let kamailio = refused()
        .module("log_custom")
        .global("log_engine_type=\"udp\"")
        .global(&format!(
            "log_engine_data=\"{}\"",
            receiver.local_addr().unwrap()
        ))
        .syslog()
        .start();
    kamailio.run("refused");
    let (mut log, mut buffer) = (String::new(), [0; 4096]);
    while !log.contains("setting pvar failed") {
        let size = receiver
            .recv(&mut buffer)
            .unwrap_or_else(|_| kamailio.fail("no line for syslog"));
        log += &String::from_utf8_lossy(&buffer[..size]);
    }
    let (ours, core) = pair(&log);
    assert_eq!(take_apart(&ours).0, take_apart(&core).0);
    assert_eq!(take_apart(&ours).1, "memcached");
}

#[test]
fn the_core_s_level_holds_for_us() {
    for (level, shown) in [("debug=-2", false), ("debug=-1", true), ("debug=2", true)] {
        let kamailio = refused().global(level).start();
        assert_eq!(kamailio.run("refused")["$mcst"], "refused");
        assert_eq!(kamailio.log().contains("memcached ["), shown, "{level}");
    }
}
