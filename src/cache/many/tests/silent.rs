//! What was sent ahead on a connection that is silent, or that breaks.

use std::thread;
use std::time::Duration;

use super::*;
use crate::health::State;
use crate::shared::near::Table;

impl Server {
    /// Answers what `body` asks once it has so many connections.
    fn release_at<R: Send>(&self, count: usize, body: impl FnOnce() -> R + Send) -> R {
        thread::scope(|scope| {
            let running = scope.spawn(body);
            // `body` waits for no longer than its timeout, so this does not, either.
            while self.connections() < count && !running.is_finished() {
                thread::sleep(Duration::from_millis(1));
            }
            self.release();
            running.join().unwrap()
        })
    }
}

/// Nobody may ask that server until it has returned.
fn take_out(cache: &Cache, server: &Server) {
    let mut members = cache.pools()[0].members().iter();
    let member = members.find(|it| it.spec().address.to_string() == server.address);
    member.unwrap().server().set(State::Disabled);
}

#[test]
#[cfg_attr(miri, ignore = "uses sockets")]
fn a_silent_connection_is_not_waited_for_longer_than_the_stall_limit() {
    let server = Server::start();
    let mut cache = with_limits(&[&server], false, 20_000, 200);
    cache.save("k", "0");
    server.hold();
    cache.ask(&["k"]);
    let began = Moment::now();
    assert_eq!(server.release_at(2, || cache.look("k")), hit("0"));
    assert!(Moment::now().since(began) < Duration::from_secs(10));
    assert_eq!(cache.counted("servers_active"), 1);
}

#[test]
#[cfg_attr(miri, ignore = "uses sockets")]
fn a_read_has_its_own_timeout_although_it_was_asked_ahead() {
    let server = Server::start();
    let mut cache = with_limits(&[&server], false, 1000, 300);
    cache.save("k", "0");
    server.hold();
    cache.ask(&["k"]);
    thread::sleep(Duration::from_millis(800));
    assert_eq!(server.release_at(2, || cache.look("k")), hit("0"));
    assert_eq!(cache.counted("timeouts"), 0);
}

#[test]
#[cfg_attr(miri, ignore = "uses sockets")]
fn a_server_that_has_returned_is_not_blamed_for_earlier_silence() {
    let server = Server::start();
    let mut cache = with_limits(&[&server], false, 5000, 300);
    cache.save("k", "0");
    server.hold();
    cache.ask(&["k"]);
    take_out(&cache, &server);
    let member = cache.pools()[0].members()[0].server();
    member.set(State::Active);
    let (health, returned) = (member.health(), member.health().since());
    assert_eq!(server.release_at(2, || cache.look("k")), hit("0"));
    assert_eq!(health.since(), returned, "its state has not changed");
}

#[test]
#[cfg_attr(miri, ignore = "uses sockets")]
fn a_stand_in_that_was_silent_is_looked_at_on_a_fresh_connection() {
    let servers = [Server::start(), Server::start()];
    let numbers = [("timeout", 5000), ("stall_limit", 300), ("failover", 1)];
    let mut cache = configured(&servers.each_ref(), &numbers);
    let is_owned = |name: &String| {
        let location = cache.pools()[0].locate(name.as_bytes()).unwrap();
        location.order[0].address.to_string() == servers[0].address
    };
    let mut names = (0..).map(|number| format!("k{number}"));
    let name = names.find(is_owned).unwrap();
    take_out(&cache, &servers[0]);
    assert_eq!(cache.save(&name, "0"), Status::Stored);
    servers[1].hold();
    cache.ask(&[&name]);
    assert_eq!(servers[1].release_at(2, || cache.look(&name)), hit("0"));
    let commands = servers[1].commands();
    let is_question = |command: &String| command.starts_with("get kamailio-memcached:");
    assert!(commands.iter().any(is_question), "{commands:?}");
}

/// It may be done later.
#[test]
#[cfg_attr(miri, ignore = "uses sockets")]
fn an_item_whose_deferred_write_is_lost_is_not_kept_near() {
    let server = Server::start();
    let mut cache = cache(&[&server], true);
    cache.keep_near(vec![Table::private(Box::leak(Box::default()), 4)]);
    cache.save("k", "0");
    cache.look("k");
    let asks = |cache: &mut Cache| {
        server.commands();
        assert_eq!(cache.look("k").0, Status::Hit);
        server.commands().len()
    };
    assert_eq!(asks(&mut cache), 0, "it is near");
    server.hold();
    assert_eq!(cache.save("k", "1"), Status::Sent);
    server.close();
    server.release();
    for _ in 0..3 {
        assert!(asks(&mut cache) > 0);
    }
    assert_eq!(cache.counted("lost"), 1);
}
