//! `kamailio-cfg/hot.cfg`: one number that everybody calls, from the node's own memory.

use std::path::PathBuf;
use std::time::Instant;

use support::{Kamailio, Memcached, Request, Sqlite, during, wait};

/// What the script says when it has used what this node keeps, because memcached cannot be asked.
const SAID: &str = "memcached cannot be asked; 0137 goes where it went before";

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
    let (before, begun) = (memcached.stat("cmd_get"), Instant::now());
    for _ in 0..200 {
        assert_eq!(call(&kamailio, "0137"), vote("vote"));
    }
    assert_eq!(call(&kamailio, "0138"), (404, None), "that is kept, too");
    let asked = memcached.stat("cmd_get") - before;
    // Once at first and once a second for one number, and once for the other one. What was not answered in time
    // is asked for again.
    let late = kamailio.log_lines(SAID).len() as u64;
    let most = 2 + begun.elapsed().as_secs() + late;
    assert!(asked <= most, "memcached was asked {asked} times");
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
    wait::until("the item to be over", wait::WAIT_LIMIT, || {
        assert_eq!(call(&kamailio, "0137"), vote("vote"));
        !kamailio.log_lines(SAID).is_empty()
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
    let caller = |_: usize| assert_eq!(call(&kamailio, "0137"), vote("vote"));
    let without_memcached = || kamailio.log_lines(SAID).len();
    during(4, caller, |made| {
        let wait_until_out = || {
            let before = without_memcached();
            wait::until("calls without memcached", wait::WAIT_LIMIT, || {
                without_memcached() >= before + 50
            });
        };
        // What the node keeps is older than a second by then, so each call asks, or says that it cannot.
        let wait_until_back = || {
            wait::until("calls with memcached", wait::WAIT_LIMIT, || {
                let before = without_memcached();
                made.wait_for_more(20);
                without_memcached() == before
            });
        };
        for _ in 0..2 {
            memcached.pause();
            wait_until_out();
            memcached.resume();
            wait_until_back();
            memcached.kill();
            wait_until_out();
            memcached.restart();
            wait_until_back();
            assert!(memcached.stat("cmd_get") > 0, "it is asked again");
        }
    });
}
