//! `$mcst`: the one word that says what the last operation of this process came to, and
//! what the script and the core notice of a failure besides.

use support::{Kamailio, Memcached, Port, Request, Value};

/// What the core says when an assignment returns an error.
const FAILED: &str = "assignment failed";

#[test]
fn it_is_null_before_the_first_operation() {
    let memcached = Memcached::start();
    assert_eq!(Kamailio::on(&memcached).eval("", "$mcst"), Value::Null);
}

#[test]
fn each_operation_has_its_word() {
    let memcached = Memcached::start();
    memcached.put("n", 0, 0, "5");
    memcached.put("text", 1, 0, "abc");
    memcached.put("half", 1, 0, vec![b'x'; 600_000]);
    for (statement, word) in [
        ("$var(x) = $mct(n);", "hit"),
        ("$var(x) = $mct(none);", "miss"),
        ("$var(x) = $mcinc(n);", "hit"),
        ("$var(x) = $mcdec(none);", "miss"),
        ("$mct(k) = 1;", "stored"),
        ("$mct(k) = \"\";", "stored"),
        ("$mct(k) = $null;", "deleted"),
        ("$mct(k) = $null;", "miss"),
        ("$mctex(n) = 60;", "touched"),
        ("$mctex(none) = 60;", "miss"),
        ("$mctex(n) = -1;", "refused"),
        ("$mctex(n) = \"soon\";", "refused"),
        ("$mcinc(n) = 1;", "counted"),
        ("$mcdec(n) = 1;", "counted"),
        ("$mcinc(none) = 1;", "miss"),
        ("$mcinc(text) = 1;", "not_a_number"),
        ("$mcdec(text) = 1;", "not_a_number"),
        ("$mcinc(n) = \"x\";", "refused"),
        ("$mcdec(n) = $null;", "refused"),
        ("$mct(k=>$rm) = 1;", "refused"),
        ("$mct(k) = $mct(half) + $mct(half);", "too_large"),
    ] {
        let status = Kamailio::on(&memcached).eval(statement, "$mcst");
        assert_eq!(status, word, "{statement}");
    }
    let add = Kamailio::on(&memcached).param("mode", 1);
    assert_eq!(add.eval("$mct(n) = 1;", "$mcst"), "not_stored");
}

#[test]
fn it_tells_of_the_last_operation_only_and_stays() {
    let memcached = Memcached::start();
    memcached.put("k", 1, 0, "v");
    let asked = [
        "$mct(k)",
        "$mcst",
        "$mct(none)",
        "\"\" + $mcst",
        "$(mcst{s.len})",
    ];
    let kamailio = Kamailio::on(&memcached)
        .script("run", "", &asked)
        .script("again", "", &["$mcst"])
        .start();
    let answer = kamailio.run("run");
    assert_eq!(answer["$mcst"], "hit");
    assert_eq!(answer["\"\" + $mcst"], "miss");
    assert_eq!(answer["$(mcst{s.len})"], 4);
    assert_eq!(
        kamailio.run("again")["$mcst"],
        "miss",
        "in the next request, too"
    );
}

#[test]
fn each_process_has_its_own() {
    let memcached = Memcached::start();
    let kamailio = Kamailio::on(&memcached)
        .tcp()
        .script("read", "", &["$mct(none)", "$mcst"])
        .script("look", "", &["$mcst"])
        .start();
    assert_eq!(kamailio.run("read")["$mcst"], "miss");
    let in_a_tcp_worker = kamailio.run_with("look", Request::options().tcp());
    assert_eq!(in_a_tcp_worker["$mcst"], Value::Null);
}

#[test]
fn it_cannot_be_assigned() {
    let check = Kamailio::builder().script("run", "$mcst = 1;", &[]).check();
    assert!(!check.ok, "{}", check.output);
    assert!(check.output.contains("read only"), "{}", check.output);
}

#[test]
fn a_missing_key_and_a_dead_server_do_not_look_alike() {
    let (memcached, closed) = (Memcached::start(), Port::free());
    let asked = ["$mct(k)", "$mcst"];
    let alive = Kamailio::on(&memcached).script("read", "", &asked).start();
    let dead = Kamailio::builder()
        .param("servers", closed.v4().to_string())
        .script("read", "", &asked)
        .start();
    assert_eq!(
        alive.run("read").values(),
        [Value::Null, Value::Str("miss".into())]
    );
    assert_eq!(
        dead.run("read").values(),
        [Value::Null, Value::Str("down".into())]
    );
}

#[test]
fn every_operation_says_down_without_a_server() {
    let closed = Port::free();
    for statement in OPERATIONS {
        let builder = Kamailio::builder().param("servers", closed.v4().to_string());
        assert_eq!(builder.eval(statement, "$mcst"), "down", "{statement}");
    }
}

#[test]
fn every_operation_says_timeout_when_the_server_is_silent() {
    let memcached = Memcached::start();
    memcached.pause();
    for statement in OPERATIONS {
        let builder = Kamailio::on(&memcached).param("timeout", 20);
        assert_eq!(builder.eval(statement, "$mcst"), "timeout", "{statement}");
    }
}

const OPERATIONS: [&str; 7] = [
    "$var(x) = $mct(k);",
    "$mct(k) = 1;",
    "$mct(k) = \"text\";",
    "$mct(k) = $null;",
    "$mcinc(k) = 1;",
    "$mcdec(k) = 1;",
    "$mctex(k) = 60;",
];

#[test]
fn a_refusal_is_an_error_of_the_assignment_with_a_line_that_says_why() {
    let memcached = Memcached::start();
    memcached.put("text", 1, 0, "abc");
    memcached.put("half", 1, 0, vec![b'x'; 600_000]);
    for (statement, why) in [
        ("$mct(k=>$rm) = 1;", "refused: invalid lifetime"),
        ("$mctex(k) = -1;", "refused: invalid lifetime"),
        ("$mcinc(k) = \"x\";", "refused: invalid number"),
        (
            "$mcinc(text) = 1;",
            "not_a_number: the stored value is not a number",
        ),
        (
            "$mct(k) = $mct(half) + $mct(half);",
            "too_large: the value is larger than",
        ),
    ] {
        let kamailio = Kamailio::on(&memcached)
            .script("run", statement, &[])
            .start();
        kamailio.run("run");
        assert_eq!(kamailio.log_lines(FAILED).len(), 1, "{statement}");
        assert_eq!(kamailio.log_lines(why).len(), 1, "{statement}");
    }
}

#[test]
fn outages_and_negative_answers_are_no_errors_of_the_assignment() {
    let (memcached, closed) = (Memcached::start(), Port::free());
    for statement in OPERATIONS {
        for address in [memcached.address(), &closed.v4().to_string()] {
            let kamailio = Kamailio::builder()
                .param("servers", address)
                .param("mode", 1)
                .script("run", statement, &["$mcst"])
                .start();
            kamailio.run("run");
            assert!(kamailio.log_lines(FAILED).is_empty(), "{statement}");
        }
    }
}

#[test]
fn the_script_goes_on_after_a_failure() {
    let memcached = Memcached::start();
    memcached.put("text", 1, 0, "abc");
    let statements = "$mcinc(text) = 1; $var(result) = 1; $mcinc(text) = \"x\"; $var(result) = 2;";
    assert_eq!(Kamailio::on(&memcached).eval(statements, "$var(result)"), 2);
}
