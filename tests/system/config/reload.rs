//! `memcached.reload`: a new list of servers for all processes of a running Kamailio, under load,
//! with connections kept or closed as the list says, and a bad file that changes nothing.

use std::path::PathBuf;
use std::thread;
use std::time::Duration;

use support::{
    Builder, FaultyServer, Host, Kamailio, Memcached, Port, Request, Scratch, during, wait,
};

/// A servers file that changes.
struct ServersFile {
    path: PathBuf,
    _scratch: Scratch,
}

impl ServersFile {
    fn new(text: impl AsRef<[u8]>) -> ServersFile {
        let scratch = Host::current().scratch();
        let path = scratch.write("servers.list", text);
        ServersFile {
            path,
            _scratch: scratch,
        }
    }

    fn of(addresses: &[&str]) -> ServersFile {
        ServersFile::new(addresses.join("\n"))
    }

    /// Replaces it in one step, as an editor or a deployment does.
    fn write(&self, text: impl AsRef<[u8]>) {
        let beside = self.path.with_extension("new");
        std::fs::write(&beside, text).expect("the scratch folder is writable");
        std::fs::rename(&beside, &self.path).expect("it is one folder");
    }

    /// Its path as Kamailio knows it.
    fn inside(&self) -> String {
        Host::current().inside(&self.path).display().to_string()
    }

    fn kamailio(&self) -> Builder {
        let read = Kamailio::builder().script("read", "", &["$mct($hdr(X-Key))", "$mcst"]);
        read.rpc().param("servers_file", self.inside())
    }
}

/// The addresses that `memcached.list` shows.
fn listed(kamailio: &Kamailio, pool: &str) -> Vec<String> {
    let shown = kamailio.rpc("memcached.list", &[pool]);
    let addresses = shown
        .lines()
        .filter_map(|line| line.strip_prefix("\taddress: "));
    addresses.map(str::to_owned).collect()
}

/// A reload that is refused with words that begin so, in kamcmd as in JSON; what is too long for
/// a fault stands in the log. The whole line comes back.
#[track_caller]
fn refused(kamailio: &Kamailio, start: &str) -> String {
    let fault = kamailio
        .try_rpc("memcached.reload", &[])
        .expect_err("a fault");
    assert!(
        fault.starts_with(&format!("error: 400 - {start}")),
        "{fault}"
    );
    let words = fault.trim_start_matches("error: 400 - ");
    let json: serde_json::Value =
        serde_json::from_str(&kamailio.jsonrpc("memcached.reload", "[]")).expect("JSON");
    assert_eq!(json["error"]["message"], words);
    match words.strip_suffix("... (see the log)") {
        None => words.into(),
        Some(beginning) => {
            let lines = kamailio.log_lines(beginning);
            lines
                .last()
                .unwrap_or_else(|| panic!("{beginning:?} is not in the log"))
                .clone()
        }
    }
}

/// A memcached behind a relay, which counts connections.
struct Watched {
    memcached: Memcached,
    relay: FaultyServer,
}

impl Watched {
    fn start() -> Watched {
        let memcached = Memcached::start();
        let relay = FaultyServer::relay(memcached.address(), Duration::ZERO);
        Watched { memcached, relay }
    }

    fn address(&self) -> String {
        self.relay.address()
    }
}

#[test]
fn every_worker_uses_the_new_list_from_its_next_operation() {
    let [old, new] = [Memcached::start(), Memcached::start()];
    old.put("k", 1, 0, "old");
    new.put("k", 1, 0, "new");
    let file = ServersFile::of(&[old.address()]);
    let kamailio = file
        .kamailio()
        .children(4)
        .module("cfgutils")
        .script("slow", "usleep(\"20000\");", &["$pp", "$mct(k)"])
        .start();
    // A sleeping worker leaves the next request to another one.
    let all_read = |value: &str| {
        for answer in kamailio.run_on_every_worker("slow", &Request::options()) {
            assert_eq!(answer["$mct(k)"], value);
        }
    };
    all_read("old");
    file.write(new.address());
    all_read("old");
    kamailio.rpc("memcached.reload", &[]);
    all_read("new");
    assert_eq!(listed(&kamailio, "default"), [new.address()]);
}

#[test]
fn connections_are_kept_to_servers_that_stay_and_closed_to_those_that_leave() {
    let [stays, leaves, comes] = [Watched::start(), Watched::start(), Watched::start()];
    let file = ServersFile::of(&[&stays.address(), &leaves.address()]);
    let kamailio = file.kamailio().start();
    let read_many = || {
        for number in 0..60 {
            kamailio.run_with("read", Request::about(format!("k{number}")));
        }
    };
    let connections = || [&stays, &leaves, &comes].map(|server| server.relay.connections());
    read_many();
    assert_eq!(connections(), [1, 1, 0]);

    // Weight and alias are no reason to hang up.
    file.write(format!(
        "{}:2 stays\n{}\n",
        stays.address(),
        comes.address()
    ));
    kamailio.rpc("memcached.reload", &["default"]);
    assert_eq!(leaves.relay.open(), 1, "nobody has noticed yet");
    kamailio.run_with("read", Request::about("one operation"));
    wait::until("the end of the old connection", wait::WAIT_LIMIT, || {
        leaves.relay.open() == 0
    });
    read_many();
    assert_eq!(connections(), [1, 1, 1]);
    assert_eq!([&stays, &comes].map(|server| server.relay.open()), [1, 1]);
}

#[test]
fn a_dead_server_is_taken_out_by_hand() {
    let alive = Memcached::start();
    let dead = Port::free();
    let file = ServersFile::new(format!("{}", dead.v4()));
    let kamailio = file.kamailio().start();
    assert_eq!(
        kamailio.run_with("read", Request::about("k"))["$mcst"],
        "down"
    );
    file.write(alive.address());
    kamailio.rpc("memcached.reload", &[]);
    assert_eq!(
        kamailio.run_with("read", Request::about("k"))["$mcst"],
        "miss"
    );
}

#[test]
fn a_bad_file_changes_nothing_and_the_reply_says_where() {
    let server = Watched::start();
    server.memcached.put("k", 1, 0, "v");
    let good = format!("# one\n{}\n", server.address());
    let file = ServersFile::new(&good);
    let kamailio = file.kamailio().start();
    let still_the_same = || {
        let answer = kamailio.run_with("read", Request::about("k"));
        assert_eq!(answer.values()[0], "v");
        assert_eq!(listed(&kamailio, "default"), [server.address()]);
        assert_eq!(server.relay.connections(), 1);
    };
    still_the_same();
    for (text, words) in [
        ("", "no server in the list"),
        ("# only words\n", "no server in the list"),
        ("a\n\n# two\nb:0\n", "line 4: invalid port '0' in 'b:0'"),
        ("a\na:11211\n", "line 2: server 'a:11211' is listed twice"),
        ("a x\nb x\n", "line 2: duplicate name 'x' in 'b x'"),
        ("a, b\n", "line 1: invalid host name in 'a, b'"),
        ("a\0\n", "line 1: invalid host name in 'a\\0'"),
        ("a\n::1\n", "line 2: IPv6 address without brackets in '::1'"),
    ] {
        file.write(text);
        let line = refused(
            &kamailio,
            &format!("nothing changed: pool 'default': {words}"),
        );
        assert!(
            line.contains("accepted: ") && line.contains(&file.inside()),
            "{line}"
        );
        still_the_same();
    }
    file.write(b"\xff\xfe\n");
    refused(&kamailio, "nothing changed: pool 'default': cannot read");
    std::fs::remove_file(&file.path).expect("it was there");
    let line = refused(&kamailio, "nothing changed: pool 'default': cannot read");
    assert!(line.contains("No such file"), "{line}");
    still_the_same();

    file.write(&good);
    let done = kamailio.rpc("memcached.reload", &[]);
    assert!(
        done.contains("pool: default") && done.contains("servers: 1"),
        "{done}"
    );
    still_the_same();
}

#[test]
fn a_list_beyond_the_stated_maximum_is_refused() {
    let lines = |count: u32, name: &str| {
        let lines: Vec<String> = (1..=count).map(|port| format!("{name}:{port}")).collect();
        lines.join("\n")
    };
    let file = ServersFile::of(&["a:1"]);
    let kamailio = file.kamailio().start();
    let too_long = [
        (
            lines(1001, "a"),
            "line 1001: ",
            "'a:1001' is one more than 1000 servers",
        ),
        (
            lines(1000, &"n".repeat(200)),
            "line ",
            "makes the list longer than 64000 bytes",
        ),
    ];
    for (text, start, words) in too_long {
        file.write(text);
        let line = refused(
            &kamailio,
            &format!("nothing changed: pool 'default': {start}"),
        );
        assert!(
            line.contains(words) && line.contains("accepted: "),
            "{line}"
        );
        assert_eq!(listed(&kamailio, "default"), ["a:1"]);
    }
    file.write(lines(1000, "a"));
    let done = kamailio.rpc("memcached.reload", &[]);
    assert!(done.contains("servers: 1000"), "{done}");
    file.write(lines(1000, "b"));
    let done = kamailio.rpc("memcached.reload", &[]);
    assert!(done.contains("servers: 1000"), "{done}");
}

#[test]
fn all_pools_are_reloaded_or_the_one_that_was_named() {
    let [default, calls] = [ServersFile::of(&["a:1"]), ServersFile::of(&["b:1"])];
    let kamailio = default
        .kamailio()
        .param(
            "pool",
            format!("name=calls;servers_file={}", calls.inside()),
        )
        .param("pool", "name=fixed;servers=c:1")
        .start();
    let lists = || ["default", "calls", "fixed"].map(|pool| listed(&kamailio, pool).concat());
    default.write("a:2");
    calls.write("b:2");
    kamailio.rpc("memcached.reload", &["calls"]);
    assert_eq!(lists(), ["a:1", "b:2", "c:1"]);
    let done = kamailio.rpc("memcached.reload", &[]);
    assert_eq!(lists(), ["a:2", "b:2", "c:1"]);
    assert!(!done.contains("fixed"), "{done}");

    default.write("a:3");
    for bad in [
        "b:nix".to_owned(),
        (1..=1000)
            .map(|n| format!("{}:{n}\n", "b".repeat(200)))
            .collect(),
    ] {
        calls.write(bad);
        refused(&kamailio, "nothing changed: pool 'calls': line ");
        assert_eq!(lists(), ["a:2", "b:2", "c:1"], "all or nothing");
    }
}

/// The same keys lie on every server, so whatever list a worker has, the answer is the same; an
/// answer to somebody else's question would be seen.
#[test]
fn reloads_under_load_give_no_wrong_answer() {
    let memcached: Vec<Memcached> = (0..4).map(|_| Memcached::start()).collect();
    for server in &memcached {
        for number in 0..50 {
            server.put(format!("k{number}"), 1, 0, format!("v{number}"));
        }
    }
    let addresses: Vec<&str> = memcached.iter().map(Memcached::address).collect();
    let lists = [
        &addresses[..1],
        &addresses[..],
        &addresses[2..],
        &addresses[1..2],
    ];
    let file = ServersFile::of(lists[0]);
    let kamailio = file.kamailio().children(3).start();
    let read = |number: usize| {
        let number = number % 50;
        let answer = kamailio.run_with("read", Request::about(format!("k{number}")));
        assert_eq!(answer.values()[0], format!("v{number}"));
        assert_eq!(answer["$mcst"], "hit");
    };
    during(3, read, |answers| {
        let mut rounds = 0..;
        wait::until("150 reloads among 300 answers", wait::WAIT_LIMIT, || {
            let round = rounds.next().expect("a number");
            file.write(lists[round % lists.len()].join("\n"));
            let reply = kamailio.jsonrpc("memcached.reload", "[]");
            assert!(reply.contains("\"result\""), "{reply}");
            round >= 150 && answers.calls() >= 300
        });
    });
    for level in ["ERROR", "WARNING", "CRITICAL"] {
        let lines = kamailio.log_lines(level);
        assert!(
            !lines.iter().any(|line| line.contains("memcached")),
            "{lines:?}"
        );
    }
    assert!(kamailio.stop().success());
}

/// Two processes serve RPC; whoever comes second is done, too, or told to try again.
#[test]
fn two_reloads_at_once_do_no_harm() {
    let lists = ["a:1\nb:2\nc:3", "d:4\ne:5"];
    let file = ServersFile::new(lists[0]);
    let kamailio = file.kamailio().start();
    thread::scope(|scope| {
        scope.spawn(|| {
            for _ in 0..20 {
                if let Err(fault) = kamailio.try_rpc("memcached.reload", &[]) {
                    assert!(fault.contains("try again"), "{fault}");
                }
            }
        });
        for round in 0..200 {
            file.write(lists[round % 2]);
            let reply = kamailio.jsonrpc("memcached.reload", "[]");
            assert!(
                reply.contains("\"result\"") || reply.contains("try again"),
                "{reply}"
            );
        }
    });
    file.write(lists[1]);
    kamailio.rpc("memcached.reload", &[]);
    assert_eq!(listed(&kamailio, "default"), ["d:4", "e:5"]);
}
