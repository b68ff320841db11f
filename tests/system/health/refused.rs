//! What a server refuses, or answers by hanging up, costs that operation alone: the next one works, other
//! workers notice nothing, and the server stays in service.

use std::io;

use support::{Builder, Connection, FaultyServer, Kamailio, Request, Store};

use super::callers::{assert_all_are, call, read_during, scripts, write};
use super::watch::{assert_never_out, rows};

/// A command of the protocol.
struct Command {
    verb: &'static str,
    /// What a script writes for it.
    statement: &'static str,
    /// The reply when all is well, and `$mcst` then.
    good: (&'static str, &'static str),
    /// Whether it may be asked again if nobody knows whether it was done.
    is_repeatable: bool,
}

const fn command(
    verb: &'static str,
    statement: &'static str,
    good: (&'static str, &'static str),
    is_repeatable: bool,
) -> Command {
    Command {
        verb,
        statement,
        good,
        is_repeatable,
    }
}

const COMMANDS: [Command; 7] = [
    command(
        "get",
        "$var(x) = $mct($hdr(X-Key));",
        ("VALUE KEY 1 1\r\nx\r\nEND\r\n", "hit"),
        true,
    ),
    command(
        "set",
        "$mct($hdr(X-Key)) = 1;",
        ("STORED\r\n", "stored"),
        true,
    ),
    command(
        "add",
        "$mct(add=>$hdr(X-Key)) = 1;",
        ("STORED\r\n", "stored"),
        false,
    ),
    command(
        "delete",
        "$mct($hdr(X-Key)) = $null;",
        ("DELETED\r\n", "deleted"),
        true,
    ),
    command(
        "touch",
        "$mctex($hdr(X-Key)) = 60;",
        ("TOUCHED\r\n", "touched"),
        true,
    ),
    command(
        "incr",
        "$mcinc($hdr(X-Key)) = 1;",
        ("42\r\n", "counted"),
        false,
    ),
    command(
        "decr",
        "$mcdec($hdr(X-Key)) = 1;",
        ("42\r\n", "counted"),
        false,
    ),
];

/// What the server does instead of answering well.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Refusal {
    Says(&'static str),
    HangsUpBefore,
    HangsUpAfterHalf,
    HangsUpAfter,
}

use Refusal::{HangsUpAfter, HangsUpAfterHalf, HangsUpBefore, Says};

const REFUSALS: [Refusal; 8] = [
    Says("ERROR"),
    Says("ERROR unknown command"),
    Says("CLIENT_ERROR go away"),
    Says("SERVER_ERROR out of memory"),
    Says("SERVER_ERROR object too large for cache"),
    HangsUpBefore,
    HangsUpAfterHalf,
    HangsUpAfter,
];

impl Refusal {
    /// Does it to the request for `key`.
    fn act(self, connection: &mut Connection, command: &Command, key: &str) -> io::Result<()> {
        let good = command.good.0.replace("KEY", key);
        match self {
            Says(line) => return connection.send(format!("{line}\r\n")),
            HangsUpBefore => {}
            HangsUpAfterHalf => connection.send(&good[..good.len() / 2])?,
            HangsUpAfter => connection.send(good)?,
        }
        connection.hang_up()
    }

    /// What `$mcst` says.
    fn word(self, command: &Command) -> &'static str {
        match (self, command.verb) {
            (Says(line), "incr" | "decr") if line.starts_with("CLIENT_ERROR") => "not_a_number",
            (Says(line), "set" | "add") if line.ends_with("too large for cache") => "too_large",
            (Says(line), _) if line.starts_with("SERVER_ERROR") => "server_error",
            (Says(_), _) => "rejected",
            (HangsUpBefore, _) => "down",
            (HangsUpAfterHalf, _) => "garbled",
            (HangsUpAfter, _) => command.good.1,
        }
    }
}

/// Refuses what is asked about the keys `refused-N`: always, or on the first connection only that is
/// asked about it.
fn server(always: bool) -> FaultyServer {
    let store = Store::new();
    store.put("other", "good");
    let asked = std::sync::Mutex::new(std::collections::HashSet::new());
    FaultyServer::storing(store, move |connection, request| {
        let text = String::from_utf8_lossy(request).into_owned();
        let mut words = text.split_whitespace();
        let (verb, key) = (words.next().unwrap_or(""), words.next().unwrap_or(""));
        // After an `ERROR` with words the connection is not used again.
        if key == "close" {
            return connection.send("ERROR closing\r\n").map(|()| true);
        }
        let Some(number) = key.strip_prefix("refused-") else {
            return Ok(false);
        };
        let number: usize = number.parse().expect("a number");
        let command = COMMANDS.iter().find(|command| command.verb == verb);
        let command = command.expect("a command of the table");
        let is_first = asked
            .lock()
            .expect("no panic")
            .insert((verb.to_owned(), number));
        match always || is_first {
            true => REFUSALS[number].act(connection, command, key)?,
            false => connection.send(command.good.0.replace("KEY", key))?,
        }
        Ok(true)
    })
}

/// The operation comes on a connection that was used for `first`; then another one follows at once.
fn builder(server: &FaultyServer, workers: usize) -> Builder {
    let add = |builder: Builder, (command, first): (&Command, &str)| {
        let pool = if command.verb == "add" { "add=>" } else { "" };
        let statements = format!(
            "$var(x) = $mct({pool}{first});\n{}\n$var(word) = $mcst;\n$avp(next) = $mct({pool}other);",
            command.statement
        );
        let name = format!("{}-{first}", command.verb);
        builder.script(&name, &statements, &["$var(word)", "$avp(next)"])
    };
    let pool = format!("name=add;servers={};mode=1", server.address());
    let builder = Kamailio::builder()
        .param("servers", server.address())
        .param("pool", pool)
        .param("timeout", 2000)
        .children(workers)
        .rpc();
    let pairs = COMMANDS
        .iter()
        .flat_map(|it| [(it, "other"), (it, "close")]);
    scripts(pairs.fold(builder, add))
}

/// Runs the whole table. `expected` tells what `$mcst` says; `None` for what is not in the table.
#[track_caller]
fn assert_table(
    workers: usize,
    always: bool,
    expected: impl Fn(Refusal, &Command, &str) -> Option<&'static str>,
) {
    let server = server(always);
    let kamailio = builder(&server, workers).start();
    let failures = std::cell::RefCell::new(Vec::new());
    let run = |refusal: Refusal, number: usize, command: &Command, first: &str| {
        let Some(word) = expected(refusal, command, first) else {
            return;
        };
        let key = format!("refused-{number}");
        let name = format!("{}-{first}", command.verb);
        let answer = kamailio.run_with(&name, Request::about(&key));
        let what = format!("{} after {first}: {refusal:?}", command.verb);
        let mut failures = failures.borrow_mut();
        if answer["$var(word)"] != word {
            failures.push(format!("{what}: {:?}, not {word}", answer["$var(word)"]));
        }
        if answer["$avp(next)"] != "good" {
            failures.push(format!("{what}: next: {:?}", answer["$avp(next)"]));
        }
        let states = rows(&kamailio, "memcached.list", "[]");
        if !states.iter().all(|row| row.state == "active") {
            failures.push(format!("{what}: {states:?}"));
        }
    };
    let table = || {
        for (number, refusal) in REFUSALS.into_iter().enumerate() {
            for command in &COMMANDS {
                run(refusal, number, command, "other");
                run(refusal, number, command, "close");
            }
        }
    };
    let callers = if workers == 1 { 0 } else { 2 };
    let ((), calls) = read_during(&kamailio, callers, &["other".into()], table);
    let failures = failures.into_inner();
    assert!(failures.is_empty(), "{workers} workers: {failures:#?}");
    if callers > 0 {
        assert_all_are(&calls, "hit");
    }
    let changes = [" is trying", " is inactive"].map(|text| kamailio.log_lines(text).len());
    assert_eq!(changes, [0, 0], "{}", kamailio.log());
}

#[test]
fn what_a_server_always_refuses_costs_that_operation_alone() {
    for workers in [1, 8] {
        assert_table(workers, true, |refusal, command, _| {
            Some(refusal.word(command))
        });
    }
}

/// The first connection is hung up, and then all is well: what may be repeated is repeated.
#[test]
fn what_one_connection_refuses_is_asked_on_another_one() {
    assert_table(8, false, |refusal, command, first| {
        // The first row in the table has used up the fault.
        let hangs_up = !matches!(refusal, Says(_)) && first == "other";
        hangs_up.then(|| match command.is_repeatable {
            true => command.good.1,
            false => refusal.word(command),
        })
    });
}

/// A server without `touch` (memcached before 1.4.8, Tarantool, Infinispan before 10.1), and a proxy that
/// hangs up when it is asked for that (twemproxy 0.3.0).
#[test]
fn a_server_without_touch_serves_everything_else() {
    for hangs_up in [false, true] {
        let server = FaultyServer::storing(Store::new(), move |connection, request| {
            if !request.starts_with(b"touch ") {
                return Ok(false);
            }
            match hangs_up {
                true => connection.hang_up()?,
                false => connection.send("ERROR\r\n")?,
            }
            Ok(true)
        });
        let kamailio = scripts(Kamailio::builder())
            .param("servers", server.address())
            .script("touch", "$mctex(a) = 60;", &["$mcst"])
            .children(2)
            .rpc()
            .start();
        assert_eq!(write(&kamailio, "a", "one").word, "stored");
        for _ in 0..4 {
            let word = if hangs_up { "down" } else { "rejected" };
            assert_eq!(kamailio.run("touch")["$mcst"], word);
            assert_eq!(call(&kamailio, "get", "a").value.as_deref(), Some("one"));
        }
        assert_never_out(&kamailio);
    }
}

/// What mcrouter answers when a route fails.
#[test]
fn a_proxy_that_tells_its_troubles_stays_in_service_and_its_words_are_in_the_log() {
    let server = FaultyServer::storing(Store::new(), |connection, request| {
        let reply = match request.split(|&byte| byte == b' ').next() {
            Some(b"touch") => "SERVER_ERROR unexpected result mc_res_unknown (0) for touch\r\n",
            Some(b"delete") => "SERVER_ERROR My words\r\n",
            Some(b"incr") => "NOT_FOUND\r\n",
            _ => return Ok(false),
        };
        connection.send(reply).map(|()| true)
    });
    let kamailio = scripts(Kamailio::builder())
        .param("servers", server.address())
        .script("touch", "$mctex(a) = 60;", &["$mcst"])
        .rpc()
        .start();
    assert_eq!(write(&kamailio, "a", "one").word, "stored");
    assert_eq!(kamailio.run("touch")["$mcst"], "server_error");
    let words = ["delete", "count", "get"].map(|script| call(&kamailio, script, "a").word);
    assert_eq!(words, ["server_error", "miss", "hit"]);
    assert_eq!(
        kamailio.log_lines("My words").len(),
        1,
        "{}",
        kamailio.log()
    );
}

/// protocol.txt allows a fourth number in a `VALUE` line.
#[test]
fn a_version_number_behind_the_size_is_read_over() {
    let server = FaultyServer::answering("VALUE a 1 3 77\r\none\r\nEND\r\n");
    let kamailio = scripts(Kamailio::builder())
        .param("servers", server.address())
        .start();
    let read = call(&kamailio, "get", "a");
    assert_eq!(
        (&read.word[..], read.value.as_deref()),
        ("hit", Some("one"))
    );
}
