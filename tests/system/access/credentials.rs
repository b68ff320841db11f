//! `credentials_file`: every connection logs in before anything else, once; what a server does not accept
//! is `denied`; and the password is nowhere to be read.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use support::{Builder, FaultyServer, Host, Kamailio, Memcached, Request, Scratch, wait};

use crate::health::watch::{assert_all, row, wait_for_state};

const PASSWORD: &str = "Hush:Hush";

/// A file of credentials that only its owner may read.
struct File {
    path: PathBuf,
    _scratch: Scratch,
}

impl File {
    fn new(text: &str) -> File {
        let scratch = Host::current().scratch();
        let path = scratch.join("credentials");
        let file = File {
            path,
            _scratch: scratch,
        };
        file.write(text);
        file
    }

    fn write(&self, text: &str) {
        fs::write(&self.path, text).expect("the scratch folder is writable");
        self.permit(0o600);
    }

    fn permit(&self, mode: u32) {
        fs::set_permissions(&self.path, Permissions::from_mode(mode)).expect("it is ours");
    }

    /// Its path as Kamailio knows it.
    fn inside(&self) -> String {
        Host::current().inside(&self.path).display().to_string()
    }
}

fn good() -> File {
    File::new(&format!("user:{PASSWORD}\n"))
}

fn server() -> Memcached {
    Memcached::authenticated("user", PASSWORD)
}

const WORKERS: usize = 4;

fn builder(servers: &str) -> Builder {
    Kamailio::builder()
        .param("servers", servers)
        .param("retry_interval", 100)
        .rpc()
        .children(WORKERS)
        .script("get", "", &["$mct(k)", "$mcst", "$pp"])
        .script("set", "$mct(k) = \"v\";", &["$mcst"])
        .script("count", "$mcinc(n) = 1;", &["$mcst"])
        .script(
            "call",
            "mct_get(\"k\", \"$var(x)\"); $var(r) = $rc;",
            &["$var(r)"],
        )
}

#[test]
fn every_process_logs_in_once() {
    let (memcached, file) = (server(), good());
    memcached.put("n", 0, 0, "0");
    let kamailio = builder(memcached.address())
        .param("credentials_file", file.inside())
        .param("ping_interval", 1)
        .start();
    assert_eq!(kamailio.run("set")["$mcst"], "stored");
    kamailio.run_on_every_worker("get", &Request::options());
    let logins = memcached.stat("auth_cmds");
    for _ in 0..50 {
        assert_eq!(kamailio.run("get")["$mct(k)"], "v");
    }
    // The prober has logged in meanwhile, for one probe a second, and so has this test.
    assert!(memcached.stat("auth_cmds") < logins + 25);
    for answer in kamailio.run_at_once("count", 20, &Request::options()) {
        assert_eq!(answer["$mcst"], "counted");
    }
    assert_eq!(memcached.text("n").as_deref(), Some("20"));
    assert_eq!(memcached.stat("auth_errors"), 0);
    assert!(kamailio.rpc("memcached.ping", &[]).contains("answer: ok"));
    kamailio.assert_nothing_logged();
}

#[test]
fn who_is_not_accepted_is_told_so_until_that_is_over() {
    let memcached = server();
    let file = File::new("user:wrong\n");
    let kamailio = builder(memcached.address())
        .param("credentials_file", file.inside())
        .start();
    assert_eq!(kamailio.run("call")["$var(r)"], -2);
    wait_for_state(&kamailio, memcached.address(), "inactive");
    assert_eq!(row(&kamailio, memcached.address()).reason, "denied");
    let words = "denied: the server does not accept the credentials: CLIENT_ERROR ";
    let list = kamailio.rpc("memcached.list", &[]);
    assert!(list.contains(words), "{list}");
    kamailio.wait_for_log(words, wait::WAIT_LIMIT);
    file.write(&format!("user:{PASSWORD}\n"));
    let reloaded = kamailio.rpc("memcached.reload", &[]);
    assert!(reloaded.contains("pool: default"), "{reloaded}");
    wait_for_state(&kamailio, memcached.address(), "active");
    assert_all(&kamailio, "miss");
    let lines = kamailio.module_lines().join("\n");
    assert!(
        !lines.contains("wrong") && !lines.contains("Hush"),
        "{lines}"
    );
}

#[test]
fn a_server_that_requires_credentials_denies_those_without() {
    let memcached = server();
    let kamailio = builder(memcached.address()).start();
    assert_eq!(kamailio.run("get")["$mcst"], "denied");
    wait_for_state(&kamailio, memcached.address(), "inactive");
    let words = "denied: the server requires credentials; accepted: credentials_file";
    kamailio.wait_for_log(words, wait::WAIT_LIMIT);
    assert_eq!(memcached.stat("curr_items"), 0);
}

#[test]
fn another_server_serves_the_keys_of_one_that_denies_us() {
    let (strict, open) = (server(), Memcached::start());
    for (first, second) in [(&strict, &open), (&open, &strict)] {
        let servers = format!("{},{}", first.address(), second.address());
        let kamailio = builder(&servers).param("failover", 1).start();
        for answer in kamailio.run_at_once("set", 20, &Request::options()) {
            assert_eq!(answer["$mcst"], "stored");
        }
        assert_all(&kamailio, "hit");
    }
}

#[test]
fn nobody_else_can_read_the_password() {
    let (memcached, file) = (Memcached::with(&["-vv"]), good());
    let kamailio = builder(memcached.address())
        .param("credentials_file", file.inside())
        .start();
    for answer in kamailio.run_at_once("set", 20, &Request::options()) {
        assert_eq!(answer["$mcst"], "stored");
    }
    // A server without authentication takes them for an item: it is over at once.
    assert_eq!(memcached.keys(), [b"k"]);
    assert!(
        memcached
            .log()
            .contains("set kamailio-memcached:login 0 -1 14")
    );
    for command in ["list", "stats", "ping", "reload"] {
        let shown = kamailio.rpc(&format!("memcached.{command}"), &[]);
        assert!(!shown.contains("Hush"), "{command}: {shown}");
    }
    assert!(!kamailio.log().contains("Hush"));
}

#[test]
fn silence_at_the_login_is_a_timeout_and_a_hang_up_is_down() {
    let file = good();
    let silent = FaultyServer::silent();
    let closing = FaultyServer::start(|connection| {
        connection.request()?;
        connection.hang_up()
    });
    // Where nothing is waited for, there is time enough on a busy machine, too.
    for (server, timeout, word) in [(&silent, 500, "timeout"), (&closing, 10_000, "down")] {
        let kamailio = builder(&server.address())
            .param("credentials_file", file.inside())
            .param("timeout", timeout)
            .start();
        assert_eq!(kamailio.run("get")["$mcst"], word);
    }
}

#[test]
fn a_file_with_a_mistake_stops_the_start() {
    let accepted =
        "; accepted: one line user:password, without control characters, the user without spaces";
    for (text, words) in [
        ("", "there is no colon"),
        ("Hush\n", "there is no colon"),
        (":Hush\n", "the user is empty, or has a space"),
        ("u u:Hush\n", "the user is empty, or has a space"),
        ("user:\n", "the password is empty"),
        ("user:Hush\nuser:Hush\n", "there is more than one line"),
        ("user:Hu\u{7}sh\n", "there is a control character"),
    ] {
        let file = File::new(text);
        let check = Kamailio::builder()
            .param("credentials_file", file.inside())
            .check();
        check.assert_refused(&["parameter 'credentials_file': file '", words, accepted]);
        assert!(!check.output.contains("Hush"), "{}", check.output);
    }
    let file = good();
    for (mode, words) in [(0o640, "(its mode is 0640)"), (0o604, "(its mode is 0604)")] {
        file.permit(mode);
        let check = |name: &str, value: String| Kamailio::builder().param(name, value).check();
        let words = ["others may read it ", words];
        check("credentials_file", file.inside()).assert_refused(&words);
        let pool = format!("name=p;servers=a;credentials_file={}", file.inside());
        check("pool", pool).assert_refused(&words);
    }
}

#[test]
fn a_file_with_a_mistake_is_no_reload() {
    let (memcached, file) = (server(), good());
    let pool = format!(
        "name=p;servers={};credentials_file={}",
        memcached.address(),
        file.inside()
    );
    let kamailio = builder(memcached.address())
        .param("pool", pool)
        .script("pool", "", &["$mct(p=>k)", "$mcst"])
        .start();
    assert_eq!(kamailio.run("pool")["$mcst"], "miss");
    file.write("Hush");
    let fault = kamailio.try_rpc("memcached.reload", &["p"]).unwrap_err();
    let words = "error: 400 - nothing changed: pool 'p': file '";
    assert!(fault.starts_with(words), "{fault}");
    kamailio.wait_for_log("': there is no colon; accepted: ", wait::WAIT_LIMIT);
    memcached.restart();
    wait::until("a connection that logs in", wait::WAIT_LIMIT, || {
        kamailio.run("pool")["$mcst"] == "miss"
    });
}
