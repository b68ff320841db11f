//! `kamailio-cfg/cache-db.cfg`: a lookup in a database, cached in memcached for 30 minutes.
//!
//! Whether the database is asked shows in what the caller gets to hear after the row has been
//! changed behind Kamailio's back, or the whole table has been taken away.

use std::path::PathBuf;
use std::time::Duration;

use support::{FaultyServer, Kamailio, Memcached, Request, Response, Sqlite, wait};

/// The tables that Kamailio's module `group` wants, as its `group-create.sql` makes them.
const TABLES: &str = "
    CREATE TABLE version (table_name VARCHAR(32) NOT NULL, table_version INTEGER NOT NULL);
    INSERT INTO version VALUES ('grp', 2);
    CREATE TABLE grp (
        id INTEGER PRIMARY KEY NOT NULL,
        username VARCHAR(64) DEFAULT '' NOT NULL,
        domain VARCHAR(64) DEFAULT '' NOT NULL,
        grp VARCHAR(64) DEFAULT '' NOT NULL
    );";

/// The provisioning system's side: the database, and who is in it.
struct Database(Sqlite);

impl Database {
    fn new() -> Database {
        let database = Database(Sqlite::with(&[TABLES]));
        database.permit("alice");
        database
    }

    fn run(&self, sql: &str) {
        self.0.run(sql);
    }

    fn permit(&self, user: &str) {
        self.run(&format!(
            "INSERT INTO grp (username, domain, grp) VALUES ('{user}', '127.0.0.1', 'abroad')"
        ));
    }

    fn forbid(&self, user: &str) {
        self.run(&format!("DELETE FROM grp WHERE username = '{user}'"));
    }

    /// A Kamailio with the example, which may wait for memcached as long as `timeout`.
    fn kamailio(&self, memcached: &Memcached, timeout: Duration) -> Kamailio {
        self.kamailio_by(memcached.address(), timeout)
    }

    /// The same, where memcached is reached at another address.
    fn kamailio_by(&self, address: &str, timeout: Duration) -> Kamailio {
        Kamailio::builder()
            .file(example())
            .define("MEMCACHED", &format!("\"{address}\""))
            .define("MEMCACHED_TIMEOUT", &timeout.as_millis().to_string())
            .define("DBURL", &format!("\"{}\"", self.0.url()))
            .define("GATEWAY", "\"192.0.2.7\"")
            .children(2)
            .start()
    }
}

fn example() -> PathBuf {
    PathBuf::from(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/kamailio-cfg/cache-db.cfg"
    ))
}

const PATIENT: Duration = Duration::from_secs(10);

fn call(kamailio: &Kamailio, caller: &str) -> Response {
    kamailio.sip(Request::new("INVITE").user("00441632960000").caller(caller))
}

#[track_caller]
fn assert_may(kamailio: &Kamailio, caller: &str) {
    let response = call(kamailio, caller);
    assert_eq!(response.code, 302, "{response:?}");
    assert_eq!(
        response.text("Contact"),
        Some("<sip:00441632960000@192.0.2.7>")
    );
}

#[track_caller]
fn assert_may_not(kamailio: &Kamailio, caller: &str) {
    let response = call(kamailio, caller);
    assert_eq!(response.code, 403, "{response:?}");
}

/// Waits until a memcached that was away is asked again.
#[track_caller]
fn wait_until_back(kamailio: &Kamailio) {
    kamailio.wait_for_log(" is active: it has answered a probe", wait::WAIT_LIMIT);
}

fn forget(kamailio: &Kamailio, user: &str) -> u16 {
    let request = Request::new("NOTIFY").user(user).header("Event", "forget");
    kamailio.sip(request).code
}

#[test]
fn the_second_call_asks_the_database_nothing() {
    let (memcached, database) = (Memcached::start(), Database::new());
    let kamailio = database.kamailio(&memcached, PATIENT);
    assert_may(&kamailio, "alice");
    assert_may_not(&kamailio, "bob");
    for (caller, answer) in [("alice", "1"), ("bob", "0")] {
        let item = memcached
            .item(format!("abroad:127.0.0.1/{caller}"))
            .unwrap();
        assert_eq!((item.flags, &item.value[..]), (0, answer.as_bytes()));
        assert!((1790..=1800).contains(&item.ttl), "30 minutes: {item:?}");
    }
    database.forbid("alice");
    database.permit("bob");
    for _ in 0..5 {
        assert_may(&kamailio, "alice");
        assert_may_not(&kamailio, "bob");
    }
    database.run("DROP TABLE grp");
    assert_may(&kamailio, "alice");
    assert_may_not(&kamailio, "bob");
    // Who is not in the cache shows that the database would not answer.
    assert_eq!(call(&kamailio, "carol").code, 500);
    assert_eq!(
        memcached.item("abroad:127.0.0.1/carol"),
        None,
        "no answer is none to keep"
    );
    assert_eq!(memcached.len(), 2);
}

#[test]
fn six_callers_at_once_get_the_same_answer() {
    let (memcached, database) = (Memcached::start(), Database::new());
    let kamailio = database.kamailio(&memcached, PATIENT);
    for (caller, code, answer) in [("alice", 302, "1"), ("bob", 403, "0")] {
        let request = Request::new("INVITE").user("00441632960000").caller(caller);
        let sent: Vec<_> = (0..6).map(|_| kamailio.send(request.clone())).collect();
        for pending in sent {
            assert_eq!(pending.wait().expect("a response").code, code, "{caller}");
        }
        let kept = memcached.text(format!("abroad:127.0.0.1/{caller}"));
        assert_eq!(kept.as_deref(), Some(answer), "{caller}");
    }
}

#[test]
fn provisioning_takes_an_answer_out_of_memcached() {
    let (memcached, database) = (Memcached::start(), Database::new());
    let kamailio = database.kamailio(&memcached, PATIENT);
    assert_may(&kamailio, "alice");
    assert_may_not(&kamailio, "bob");

    database.forbid("alice");
    let reply = memcached.command("delete abroad:127.0.0.1/alice\r\n");
    assert_eq!(reply, b"DELETED\r\n");
    assert_may_not(&kamailio, "alice");
    assert_may_not(&kamailio, "bob");

    database.permit("bob");
    assert_eq!(
        memcached.command("delete abroad:127.0.0.1/bob\r\n"),
        b"DELETED\r\n"
    );
    assert_may(&kamailio, "bob");
}

#[test]
fn provisioning_tells_kamailio_to_forget_an_answer() {
    let (memcached, database) = (Memcached::start(), Database::new());
    let kamailio = database.kamailio(&memcached, PATIENT);
    assert_may(&kamailio, "alice");
    database.forbid("alice");
    assert_may(&kamailio, "alice");
    assert_eq!(forget(&kamailio, "alice"), 200);
    assert_may_not(&kamailio, "alice");
    assert_eq!(
        forget(&kamailio, "nobody"),
        200,
        "what is not there is forgotten"
    );

    database.permit("alice");
    let stranger = kamailio.sip(Request::new("NOTIFY").user("alice"));
    assert_eq!(stranger.code, 403);
    assert_may_not(&kamailio, "alice");

    memcached.kill();
    assert_eq!(forget(&kamailio, "alice"), 503, "to be tried again");
    memcached.restart();
    let accepted = || forget(&kamailio, "alice") == 200;
    wait::until("a try that succeeds", wait::WAIT_LIMIT, accepted);
    assert_may(&kamailio, "alice");
}

#[test]
fn without_memcached_calls_work_from_the_database() {
    let (memcached, database) = (Memcached::start(), Database::new());
    let kamailio = database.kamailio(&memcached, PATIENT);
    assert_may(&kamailio, "alice");
    memcached.kill();
    assert_may(&kamailio, "alice");
    assert_may_not(&kamailio, "bob");
    database.forbid("alice");
    database.permit("bob");
    assert_may_not(&kamailio, "alice");
    assert_may(&kamailio, "bob");
    // Back again, it is used again, and nothing of before is left in it.
    memcached.restart();
    wait_until_back(&kamailio);
    assert_may(&kamailio, "bob");
    database.run("DROP TABLE grp");
    assert_may(&kamailio, "bob");
    assert_eq!(call(&kamailio, "alice").code, 500);
}

#[test]
fn a_memcached_that_hangs_costs_one_call_one_timeout() {
    let (memcached, database) = (Memcached::start(), Database::new());
    let timeout = Duration::from_millis(800);
    let way = FaultyServer::relay(memcached.address(), Duration::ZERO);
    let kamailio = database.kamailio_by(&way.address(), timeout);
    memcached.pause();
    let calls = || {
        let response = call(&kamailio, "alice");
        assert_eq!(response.code, 302);
        response.elapsed
    };
    let first = calls();
    assert!(first >= timeout && first < 2 * timeout, "{first:?}");
    // Nor does a call wait while it is probed again, in vain.
    let before = way.connections();
    wait::until("more probes", wait::WAIT_LIMIT, || {
        let later = calls();
        assert!(later < timeout / 2, "{later:?}");
        way.connections() >= before + 2
    });
    memcached.resume();
    wait_until_back(&kamailio);
    assert_may(&kamailio, "alice");
    assert_eq!(
        memcached.text("abroad:127.0.0.1/alice").unwrap(),
        "1",
        "it is used again"
    );
}

#[test]
fn what_a_caller_writes_stays_inside_the_key() {
    let (memcached, database) = (Memcached::start(), Database::new());
    let kamailio = database.kamailio(&memcached, PATIENT);
    assert_may(&kamailio, "alice");
    for caller in [
        "alice=",
        "x%0d%0aflush_all",
        "alice'--",
        "bob';DELETE%20FROM%20grp;--",
    ] {
        assert_may_not(&kamailio, caller);
        assert_eq!(
            memcached
                .text(format!("abroad:127.0.0.1/{caller}"))
                .unwrap(),
            "0"
        );
    }
    assert_eq!(memcached.flushes(), 0);
    memcached.remove("abroad:127.0.0.1/alice");
    assert_may(&kamailio, "alice");
}

#[test]
fn the_example_is_accepted_as_it_stands() {
    let check = Kamailio::builder().file(example()).check();
    assert!(check.ok, "{}", check.output);
}
