//! Connections that a server closes because nobody has used them for a while (`idle_timeout`), and a unix
//! socket that comes and goes.

use std::fs;

use support::{Kamailio, Memcached, wait};

use super::callers::{call, leave_idle, scripts, write};
use super::watch::row;

#[test]
fn the_first_operation_after_a_pause_works_and_counts_once() {
    let memcached = Memcached::with(&["-o", "idle_timeout=1"]);
    let kamailio = scripts(Kamailio::on(&memcached))
        .param("timeout", 1000)
        .script("touch", "$mctex(a) = 60;", &["$mcst"])
        .start();
    memcached.put("n", 0, 0, "5");
    write(&kamailio, "a", "one");
    let kicks = || memcached.stat("idle_kicks");
    let closed = || {
        let before = kicks();
        wait::until("the connection to be closed", wait::WAIT_LIMIT, || {
            kicks() > before
        });
    };
    closed();
    assert_eq!(call(&kamailio, "get", "a").word, "hit");
    closed();
    assert_eq!(call(&kamailio, "count", "n").word, "counted");
    closed();
    assert_eq!(kamailio.run("touch")["$mcst"], "touched");
    closed();
    assert_eq!(call(&kamailio, "delete", "a").word, "deleted");
    assert_eq!(memcached.text("n").as_deref(), Some("6"));
    kamailio.assert_nothing_logged();
}

/// Not there, there, and there again after a restart.
#[test]
fn a_unix_socket_that_comes_later_is_found() {
    let memcached = Memcached::unix();
    let path = memcached.address().to_owned();
    memcached.kill();
    fs::remove_file(&path).ok();
    let kamailio = scripts(Kamailio::builder())
        .param("servers", format!("{path}:0"))
        .param("timeout", 1000)
        .param("retry_interval", 100)
        .rpc()
        .start();
    assert_eq!(call(&kamailio, "get", "a").word, "down");
    memcached.restart();
    wait::until("the server to be used", wait::WAIT_LIMIT, || {
        write(&kamailio, "a", "one").word == "stored"
    });
    memcached.restart();
    leave_idle();
    assert_eq!(write(&kamailio, "a", "two").word, "stored");
    assert_eq!(row(&kamailio, &path).state, "active");
}
