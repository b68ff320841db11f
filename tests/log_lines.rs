//! What the module logs: misses at debug only, failures a few times a minute, an outage at
//! its two ends, and never a value.

use support::{Builder, FaultyServer, Kamailio, Memcached, Port, Request, wait};

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
        assert!(
            kamailio.log_lines(": memcached [").len() == lines,
            "{}",
            kamailio.log()
        );
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
    let line = kamailio.wait_for_log("no item with key 'none'", wait::PATIENCE);
    assert!(line.contains("DEBUG: memcached ["), "{line}");
    let kamailio = with_level("-3");
    assert_eq!(kamailio.run("refused")["$mcst"], "refused");
    assert!(
        kamailio.log_lines("memcached [").is_empty(),
        "{}",
        kamailio.log()
    );
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
    assert!(
        kamailio.log_lines("memcached [").is_empty(),
        "{}",
        kamailio.log()
    );
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

#[test]
fn an_outage_is_one_line_at_either_end_and_a_few_between() {
    let memcached = Memcached::start();
    let kamailio = repeatedly(Kamailio::on(&memcached), "$mct(k) = 5;");
    assert_eq!(kamailio.run("repeat")["$mcst"], "stored");
    memcached.kill();
    assert_eq!(kamailio.run("repeat")["$mcst"], "down");
    kamailio.run("repeat");
    memcached.restart();
    assert_eq!(kamailio.run("repeat")["$mcst"], "stored");
    kamailio.run("repeat");
    let server = format!("server {}", memcached.address());
    let [fell] = &kamailio.log_lines(&format!("{server} fails: down: "))[..] else {
        kamailio.fail("one line for the fall expected");
    };
    assert!(
        fell.contains("WARNING: memcached [") && fell.contains("of key 'k'"),
        "{fell}"
    );
    let [back] = &kamailio.log_lines(&format!("{server} answers again after "))[..] else {
        kamailio.fail("one line for the return expected");
    };
    assert!(back.contains("WARNING: memcached ["), "{back}");
    // 100 failures: the fall, five lines, and the rest.
    assert!(
        back.ends_with(" s (94 more failures were not logged)"),
        "{back}"
    );
    let between = kamailio.log_lines("ERROR: memcached [");
    assert_eq!(between.len(), 5, "{between:?}");
    assert!(
        between
            .iter()
            .all(|line| line.contains(&format!("set of key 'k' at {server}: down: ")))
    );
}

#[test]
fn a_server_that_falls_and_returns_all_the_time_is_a_few_lines_a_minute() {
    let server = FaultyServer::start(|connection| {
        loop {
            let request = connection.request()?;
            let sick = request.starts_with(b"get sick");
            connection.send(if sick { "NONSENSE\r\n" } else { "END\r\n" })?;
        }
    });
    let builder = Kamailio::builder().param("servers", server.address());
    let kamailio = repeatedly(builder, "$var(x) = $mct(sick); $var(x) = $mct(healthy);");
    kamailio.run("repeat");
    assert_eq!(kamailio.log_lines("fails: garbled: ").len(), 5);
    assert_eq!(kamailio.log_lines("answers again after ").len(), 5);
    assert_eq!(kamailio.log_lines(" memcached [").len(), 10);
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
        "server cellar fails: down: cannot connect: ",
        wait::PATIENCE,
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
        ("$mcinc(k) = $hdr(X);", "refused: the operand is no integer"),
        ("$mcdec(k) = $hdr(X);", "refused: the operand is no integer"),
        ("$mctex(k) = $hdr(X);", "refused: the operand is no integer"),
        (
            "$mct(k=>$hdr(X)) = $hdr(X);",
            "refused: the lifetime is no number",
        ),
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
    let kamailio = with_own_level(builder, "3").start();
    let run = || kamailio.run_with("run", secret_request(SECRET));
    run();
    memcached.kill();
    run();
    assert_secret(&kamailio, SECRET, "(set of key 'k')");
    assert_secret(&kamailio, SECRET, "get of key 'k' at server");
    memcached.restart();
    run();
    assert_secret(&kamailio, SECRET, "answers again");
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
