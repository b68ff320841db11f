//! What the module logs: misses at debug only, failures a few times a minute, an outage at
//! its two ends, and never a value.

use std::time::Duration;

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
fn an_outage_is_one_line_at_either_end_for_the_whole_host() {
    let memcached = Memcached::start();
    let builder = Kamailio::on(&memcached).children(4);
    let kamailio = repeatedly(builder, "$mct(k) = 5;");
    let everywhere = |word: &str| {
        for answer in kamailio.run_at_once("repeat", 12, &Request::options()) {
            assert_eq!(answer["$mcst"], word);
        }
    };
    everywhere("stored");
    for outage in 1..=2 {
        memcached.kill();
        everywhere("down");
        everywhere("down");
        memcached.restart();
        let server = format!("server {}", memcached.address());
        let fell = format!("{server} is inactive: down: ");
        let back = format!("{server} is active: it has answered a probe; ");
        wait_for_lines(&kamailio, &back, outage);
        everywhere("stored");
        let falls = kamailio.log_lines(&fell);
        assert_eq!(falls.len(), outage, "{falls:?}");
        for line in falls {
            assert!(line.contains("WARNING: memcached ["), "{line}");
            let reason = line.contains(" (set of key 'k'); it was active for ");
            assert!(reason && line.ends_with(" s"), "{line}");
        }
        for line in kamailio.log_lines(&back) {
            assert!(line.contains("WARNING: memcached ["), "{line}");
            let duration = line.contains("; it was inactive for ");
            assert!(duration && line.ends_with(" s"), "{line}");
        }
        // Thousands of operations were refused; none of them is worth a line.
        let ours = kamailio.log_lines(" memcached [");
        assert_eq!(ours.len(), 2 * outage, "{ours:?}");
    }
}

/// Waits until the log has so many lines that hold `text`.
#[track_caller]
fn wait_for_lines(kamailio: &Kamailio, text: &str, count: usize) {
    wait::until(text, wait::PATIENCE, || {
        kamailio.log_lines(text).len() == count
    });
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
    assert_eq!(kamailio.log_lines(" memcached [").len(), 5);
}

#[test]
fn a_server_that_falls_and_returns_all_the_time_is_a_few_lines_a_minute() {
    const FALLS: usize = 10;
    let server = moody();
    let kamailio = Kamailio::builder()
        .param("servers", server.address())
        .param("retry_interval", 20)
        .script("sick", "", &["$mct(sick)", "$mcst"])
        .script("healthy", "", &["$mct(healthy)", "$mcst"])
        .start();
    for _ in 0..FALLS {
        assert_eq!(kamailio.run("sick")["$mcst"], "garbled");
        wait::until("its return", wait::PATIENCE, || {
            kamailio.run("healthy")["$mcst"] == "miss"
        });
    }
    // The worker that sees it fall and the prober share them.
    assert_eq!(kamailio.log_lines(" is inactive: garbled: ").len(), 3);
    assert_eq!(kamailio.log_lines(" is active: it has ").len(), 2);
    assert_eq!(kamailio.log_lines(" memcached [").len(), 5);
}

#[test]
fn an_answer_that_is_long_in_coming_is_two_lines_that_tell_how_long() {
    let server = FaultyServer::start(|connection| {
        loop {
            connection.request()?;
            connection.wait(Duration::from_millis(900))?;
            connection.send("END\r\n")?;
        }
    });
    let kamailio = Kamailio::builder()
        .param("servers", server.address())
        .script("read", "", &["$mct(k)", "$mcst"])
        .start();
    assert_eq!(kamailio.run("read")["$mcst"], "miss");
    let server = format!("server {}", server.address());
    let trying = format!("{server} is trying: no answer for 200ms; it was active for ");
    assert_eq!(kamailio.log_lines(&trying).len(), 1, "{}", kamailio.log());
    let active = format!("{server} is active: it has answered; it was trying for ");
    let lines = kamailio.log_lines(&active);
    let [line] = &lines[..] else {
        kamailio.fail("one line for the answer expected");
    };
    let (_, seconds) = line.split_once("it was trying for ").expect("a duration");
    let seconds: f32 = seconds.trim_end_matches(" s").parse().expect("seconds");
    assert!((0.5..5.0).contains(&seconds), "{line}");
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
    noticing.wait_for_log(" is active: ", wait::PATIENCE);
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
