//! `kamailio-cfg/hot.cfg`: one number that everybody calls, from the node's own memory.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use support::{Kamailio, Memcached, Request, Sqlite, wait};

/// The database with the table of the example.
fn database() -> Sqlite {
    Sqlite::with(&[
        "CREATE TABLE numbers (number VARCHAR(32) PRIMARY KEY, target VARCHAR(255))",
        "INSERT INTO numbers VALUES ('0137', 'sip:vote@192.0.2.7')",
    ])
}

fn kamailio_with(database: &Sqlite, memcached: &Memcached) -> Kamailio {
    Kamailio::builder()
        .file(PathBuf::from("kamailio-cfg/hot.cfg"))
        .define("MEMCACHED", &format!("\"{}\"", memcached.address()))
        .define("SQLCON", &format!("\"db=>{}\"", database.url()))
        .children(4)
        .start()
}

fn call(kamailio: &Kamailio, number: &str) -> (u16, Option<String>) {
    let response = kamailio.sip(Request::new("INVITE").user(number));
    let contact = response.text("Contact").map(str::to_owned);
    (response.code, contact)
}

fn vote(target: &str) -> (u16, Option<String>) {
    (302, Some(format!("<sip:{target}@192.0.2.7>")))
}

#[test]
fn of_many_calls_to_one_number_few_ask_memcached_and_one_the_database() {
    let (memcached, database) = (Memcached::start(), database());
    let kamailio = kamailio_with(&database, &memcached);
    assert_eq!(call(&kamailio, "0137"), vote("vote"));
    assert_eq!(call(&kamailio, "0138"), (404, None));
    database.run("DROP TABLE numbers");
    let before = memcached.stat("cmd_get");
    for _ in 0..200 {
        assert_eq!(call(&kamailio, "0137"), vote("vote"));
    }
    assert_eq!(call(&kamailio, "0138"), (404, None), "that is kept, too");
    let asked = memcached.stat("cmd_get") - before;
    assert!(asked < 150, "memcached was asked {asked} times");
}

#[test]
fn a_changed_number_is_forgotten_at_once() {
    let (memcached, database) = (Memcached::start(), database());
    let kamailio = kamailio_with(&database, &memcached);
    for target in ["vote", "late", "closed"] {
        database.run(&format!(
            "UPDATE numbers SET target = 'sip:{target}@192.0.2.7'"
        ));
        let forgotten = kamailio.sip(Request::new("NOTIFY").user("0137"));
        assert_eq!(forgotten.code, 200);
        assert_eq!(call(&kamailio, "0137"), vote(target));
        assert_eq!(call(&kamailio, "0137"), vote(target));
    }
}

#[test]
fn without_memcached_and_database_calls_go_where_they_went() {
    let (memcached, database) = (Memcached::start(), database());
    let kamailio = kamailio_with(&database, &memcached);
    assert_eq!(call(&kamailio, "0137"), vote("vote"));
    // The first call has stored it, the second one reads it.
    assert_eq!(call(&kamailio, "0137"), vote("vote"));
    database.run("DROP TABLE numbers");
    memcached.kill();
    let said = "memcached cannot be asked; 0137 goes where it went before";
    wait::until("the item to be over", wait::WAIT_LIMIT, || {
        assert_eq!(call(&kamailio, "0137"), vote("vote"));
        !kamailio.log_lines(said).is_empty()
    });
    for _ in 0..20 {
        assert_eq!(call(&kamailio, "0137"), vote("vote"));
    }
}

#[test]
fn no_call_fails_while_memcached_comes_and_goes() {
    let (memcached, database) = (Memcached::start(), database());
    let kamailio = kamailio_with(&database, &memcached);
    for _ in 0..2 {
        assert_eq!(call(&kamailio, "0137"), vote("vote"));
    }
    let (is_over, calls) = (AtomicBool::new(false), AtomicUsize::new(0));
    let caller = || {
        while !is_over.load(Ordering::Relaxed) {
            assert_eq!(call(&kamailio, "0137"), vote("vote"));
            calls.fetch_add(1, Ordering::Relaxed);
        }
    };
    let rest = |millis| thread::sleep(Duration::from_millis(millis));
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(caller);
        }
        for _ in 0..2 {
            memcached.pause();
            rest(1500);
            memcached.resume();
            rest(500);
            memcached.kill();
            rest(1500);
            memcached.restart();
            rest(500);
        }
        is_over.store(true, Ordering::Relaxed);
    });
    let calls = calls.into_inner();
    assert!(calls > 100, "{calls} calls");
}
