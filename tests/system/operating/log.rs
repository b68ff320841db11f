//! The module's log lines look like the core's own, wherever they go. Misses are logged at debug
//! only, failures a few times a minute, and a value never. What is logged about a server that fails
//! or stalls stands in the tests of that (`outage`, `stall`).

use std::net::UdpSocket;

use support::{Builder, FaultyServer, Kamailio, Memcached, Port, Request, wait};

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
    (find("invalid lifetime"), find("setting pvar failed"))
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
        text.contains(": refused: invalid lifetime; accepted: "),
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

/// The core writes the prefix as a string of C. What comes after it is written all the same.
#[test]
fn a_prefix_ends_at_a_nul_as_in_the_core_s_lines() {
    let memcached = Memcached::start();
    memcached.put("prefix", 1, 0, "a\0b");
    let script = "$var(p) = $mct(prefix);\n$mct(k=>$rm) = 1;";
    let kamailio = Kamailio::on(&memcached)
        .global(r#"log_prefix="{$var(p)} ""#)
        .global("log_prefix_mode=1")
        .script("refused", script, &["$mcst", "$(var(p){s.len})"])
        .start();
    let answer = kamailio.run("refused");
    assert_eq!(answer["$(var(p){s.len})"], 3);
    let (ours, core) = pair(&kamailio.log());
    assert!(ours.contains(" ERROR: {amemcached ["), "{ours:?}");
    assert!(core.contains(" ERROR: {a<core> ["), "{core:?}");
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
    assert!(message.contains("invalid lifetime"), "{message}");
}

/// Syslog itself is the machine's; a module that takes its place shows what it is told.
#[test]
fn in_syslog_a_line_is_like_the_core_s() {
    let receiver = UdpSocket::bind("127.0.0.1:0").unwrap();
    receiver.set_read_timeout(Some(wait::WAIT_LIMIT)).unwrap();
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

/// A Kamailio that reads what is not there.
fn missing(memcached: &Memcached) -> Builder {
    Kamailio::on(memcached).script("miss", "", &["$mct(none)", "$mcst"])
}

#[test]
fn a_miss_is_worth_a_line_at_level_debug_only() {
    let memcached = Memcached::start();
    for (level, lines) in [("debug=2", 0), ("debug=3", 1)] {
        let kamailio = missing(&memcached).global(level).start();
        assert_eq!(kamailio.run("miss")["$mcst"], "miss");
        assert_eq!(
            kamailio.log_lines("DEBUG: memcached [").len(),
            lines,
            "{level}"
        );
        // At level debug the core, too, writes so of the module's processes; we name a file.
        let mut ours = kamailio.log_lines(": memcached [");
        ours.retain(|line| line.contains(".rs:"));
        assert_eq!(ours.len(), lines, "{}", kamailio.log());
    }
}

/// Gives the module a debug level of its own, as module debugger can.
fn with_own_level(builder: Builder, level: &str) -> Builder {
    builder
        .module("debugger")
        .param_of("debugger", "mod_hash_size", 4)
        .param_of("debugger", "mod_level_mode", 1)
        .param_of("debugger", "mod_level", format!("memcached={level}"))
}

#[test]
fn the_module_can_have_a_level_of_its_own() {
    let memcached = Memcached::start();
    let with_level = |level| {
        let builder = missing(&memcached).script("refused", "$mctex(k) = -1;", &["$mcst"]);
        with_own_level(builder, level).start()
    };
    let kamailio = with_level("3");
    kamailio.run("miss");
    let line = kamailio.wait_for_log("no item with key 'none'", wait::WAIT_LIMIT);
    assert!(line.contains("DEBUG: memcached ["), "{line}");
    let kamailio = with_level("-3");
    assert_eq!(kamailio.run("refused")["$mcst"], "refused");
    kamailio.assert_nothing_logged();
}

#[test]
fn what_works_is_not_worth_a_line() {
    let memcached = Memcached::start();
    let kamailio = Kamailio::on(&memcached)
        .param("mode", 1)
        .script(
            "work",
            "$mct(k) = 5; $mct(k) = 6; $mcinc(k) = 1; $mctex(k) = 60; $mct(k) = $null; $mctex(k) = 1;",
            &["$mct(k)"],
        )
        .start();
    kamailio.run("work");
    kamailio.assert_nothing_logged();
}

/// Runs these statements so many times in the one worker.
fn repeatedly(builder: Builder, statements: &str) -> Kamailio {
    let statements =
        format!("$var(i) = 0; while ($var(i) < 50) {{ $var(i) = $var(i) + 1; {statements} }}");
    builder.script("repeat", &statements, &["$mcst"]).start()
}

#[test]
fn refusals_are_few_lines_a_minute() {
    let memcached = Memcached::start();
    memcached.put("text", 1, 0, "abc");
    for statement in [
        "$var(x) = $mct(k=>$rm);",
        "$mcinc(text) = 1;",
        "$mcinc(n) = \"x\";",
    ] {
        let kamailio = repeatedly(Kamailio::on(&memcached), statement);
        kamailio.run("repeat");
        kamailio.run("repeat");
        assert_eq!(
            kamailio.log_lines("ERROR: memcached [").len(),
            5,
            "{statement}"
        );
    }
}

/// Talks nonsense about the key `sick`, and is fine otherwise.
fn moody() -> FaultyServer {
    FaultyServer::start(|connection| {
        loop {
            let request = connection.request()?;
            connection.send(match &request[..] {
                b"get sick\r\n" => "NONSENSE\r\n",
                b"version\r\n" => "VERSION 1.6.18\r\n",
                _ => "END\r\n",
            })?;
        }
    })
}

#[test]
fn failures_that_leave_a_server_in_service_are_a_few_lines_a_minute() {
    let server = moody();
    let builder = Kamailio::builder()
        .param("servers", server.address())
        .without_verdicts();
    let kamailio = repeatedly(builder, "$var(x) = $mct(sick); $var(x) = $mct(healthy);");
    assert_eq!(kamailio.run("repeat")["$mcst"], "miss");
    let text = format!(
        "get of key 'sick' at server {}: garbled: ",
        server.address()
    );
    assert_eq!(kamailio.log_lines(&text).len(), 5);
    assert_eq!(kamailio.log_lines("ERROR: memcached [").len(), 5);
    assert_eq!(kamailio.module_lines().len(), 5);
}

#[test]
fn an_alias_stands_for_the_server() {
    let closed = Port::free();
    let kamailio = Kamailio::builder()
        .param("servers", format!("{} cellar", closed.v4()))
        .script("read", "", &["$mct(k)"])
        .start();
    kamailio.run("read");
    kamailio.wait_for_log(
        "server cellar is inactive: down: cannot connect: ",
        wait::WAIT_LIMIT,
    );
}

#[test]
fn no_line_ever_shows_a_value() {
    const SECRET: &str = "s3cret";
    let memcached = Memcached::start();
    memcached.put("half", 1, 0, SECRET.repeat(100_000));
    for (statements, words) in [
        (
            "$mct(k) = $hdr(X); $mcinc(k) = 1;",
            "incr of key 'k': not_a_number",
        ),
        (
            "$mct(k) = $hdr(X); $mcdec(k) = 1;",
            "decr of key 'k': not_a_number",
        ),
        (
            "$mct(k) = $hdr(X); $var(x) = $mct(k); $var(x) = $mct(none);",
            "no item with key 'none'",
        ),
        ("$mcinc(k) = $hdr(X);", "refused: invalid number"),
        ("$mcdec(k) = $hdr(X);", "refused: invalid number"),
        ("$mctex(k) = $hdr(X);", "refused: invalid number"),
        ("$mct(k=>$hdr(X)) = $hdr(X);", "refused: invalid lifetime"),
        ("$mct($hdr(Empty)) = $hdr(X);", "refused: the key is empty"),
        (
            "$mct(k) = $mct(half) + $mct(half);",
            "set of key 'k': too_large",
        ),
    ] {
        let builder = Kamailio::on(&memcached).script("run", statements, &[]);
        let kamailio = with_own_level(builder, "3").start();
        kamailio.run_with("run", secret_request(SECRET));
        assert_secret(&kamailio, SECRET, words);
    }
}

#[test]
fn no_line_about_an_outage_shows_a_value() {
    const SECRET: &str = "s3cret";
    let memcached = Memcached::start();
    let statements = "$mct(k) = $hdr(X); $var(x) = $mct(k); $mcinc(k) = $hdr(X);";
    let builder = Kamailio::on(&memcached).script("run", statements, &[]);
    let noticing = with_own_level(builder.clone(), "3").start();
    let trusting = with_own_level(builder, "3").without_verdicts().start();
    let run = || {
        for kamailio in [&noticing, &trusting] {
            kamailio.run_with("run", secret_request(SECRET));
        }
    };
    run();
    memcached.kill();
    run();
    assert_secret(&noticing, SECRET, "(set of key 'k')");
    assert_secret(&trusting, SECRET, "set of key 'k' at server");
    assert_secret(&trusting, SECRET, "get of key 'k' at server");
    memcached.restart();
    noticing.wait_for_log(" is active: ", wait::WAIT_LIMIT);
    run();
    assert_secret(&noticing, SECRET, " is active: ");
    assert_secret(&trusting, SECRET, "set of key 'k' at server");
}

fn secret_request(secret: &str) -> Request {
    Request::options().header("X", secret).header("Empty", "")
}

/// There is a line of ours with these words, and no line with the secret.
#[track_caller]
fn assert_secret(kamailio: &Kamailio, secret: &str, words: &str) {
    let ours = kamailio.log_lines(words);
    assert!(
        ours.iter().any(|line| line.contains("memcached [")),
        "no {words:?}\n{}",
        kamailio.log()
    );
    assert!(
        kamailio.log_lines(secret).is_empty(),
        "{:?}",
        kamailio.log_lines(secret)
    );
}
