use std::collections::HashMap;
use std::time::Duration;

use support::Random;
use support::model::Options;

use super::*;
use crate::admin::pools;
use crate::cache::Read;
use crate::config::{Given, Parameters, Tunable};
use crate::item::value::{Numbers, Value};
use crate::shared::Shared;
use crate::stats::TABLE;
use crate::wire::protocol::Way;

mod copies;
mod server;
mod silent;

use server::Server;

/// A cache on these servers, which waits for as long as it takes.
fn cache(servers: &[&Server], deferred: bool) -> Cache {
    with_limits(servers, deferred, 60_000, 30_000)
}

/// The same with `timeout` and `stall_limit`, in ms.
fn with_limits(servers: &[&Server], deferred: bool, timeout: i32, stall_limit: i32) -> Cache {
    let limits = [("timeout", timeout), ("stall_limit", stall_limit)];
    configured(
        servers,
        &[limits[0], limits[1], ("deferred_writes", deferred.into())],
    )
}

/// A cache on these servers, with these parameters.
fn configured(servers: &[&Server], numbers: &[(&str, i32)]) -> Cache {
    let mut parameters = Parameters::default();
    let list: Vec<_> = servers.iter().map(|server| &*server.address).collect();
    parameters
        .set("servers", Given::Text(&list.join(",")))
        .unwrap();
    for (name, number) in numbers {
        parameters.set(name, Given::Number(*number)).unwrap();
    }
    Cache::new(parameters.settle(), Numbers::Bits64, Shared::private(1))
}

impl Cache {
    fn named(&self, name: &str) -> Key {
        self.key(0, name.as_bytes(), b"").unwrap()
    }

    fn ask(&mut self, names: &[&str]) {
        let keys: Vec<_> = names.iter().map(|name| self.named(name)).collect();
        self.prefetch(&keys);
    }

    fn look(&mut self, name: &str) -> (Status, String) {
        let (key, mut text) = (self.named(name), Vec::new());
        let found = self.get(&key, &mut text);
        let text = match found {
            Ok(Read::Hit(_)) => String::from_utf8(text).unwrap(),
            _ => String::new(),
        };
        (Status::of(&found), text)
    }

    fn save(&mut self, name: &str, value: &str) -> Status {
        let key = self.named(name);
        Status::of(&self.assign(&key, Value::Text(value.as_bytes())))
    }

    fn counted(&self, name: &str) -> u64 {
        let row = TABLE.iter().find(|row| row.name.to_str() == Ok(name));
        self.statistic(row.unwrap())
    }
}

fn hit(text: &str) -> (Status, String) {
    (Status::Hit, text.to_owned())
}

fn miss() -> (Status, String) {
    (Status::Miss, String::new())
}

#[test]
#[cfg_attr(miri, ignore = "uses sockets")]
fn many_keys_are_asked_for_in_requests_of_a_packet_each() {
    let server = Server::start();
    let mut cache = cache(&[&server], false);
    let keys: Vec<String> = (0..12)
        .map(|number| format!("{number:200}").replace(' ', "k"))
        .collect();
    let names: Vec<&str> = keys.iter().map(String::as_str).collect();
    cache.save(names[7], "seven");
    server.commands();
    cache.ask(&names);
    let found: Vec<_> = names.iter().map(|name| cache.look(name)).collect();
    let due = |at| if at == 7 { hit("seven") } else { miss() };
    assert_eq!(found, (0..12).map(due).collect::<Vec<_>>());
    let sizes = server.commands().into_iter().map(|line| line.len());
    assert_eq!(sizes.collect::<Vec<_>>(), [3 + 6 * 201; 2]);
}

#[test]
#[cfg_attr(miri, ignore = "uses sockets")]
fn items_that_were_asked_for_are_not_asked_again() {
    let server = Server::start();
    let mut cache = cache(&[&server], false);
    cache.save("a", "one");
    cache.save("b", "");
    server.commands();
    cache.ask(&["a", "b", "none", "a"]);
    for _ in 0..2 {
        assert_eq!(cache.look("b"), hit(""));
        assert_eq!(cache.look("none"), miss());
        assert_eq!(cache.look("a"), hit("one"));
    }
    assert_eq!(server.commands(), ["get a b none"]);
    assert_eq!(cache.counted("prefetched"), 3);
    assert_eq!((cache.counted("hits"), cache.counted("misses")), (4, 2));
    cache.end_message();
    assert_eq!(cache.look("a"), hit("one"));
    assert_eq!(server.commands(), ["get a"]);
}

#[test]
#[cfg_attr(miri, ignore = "uses sockets")]
fn answers_are_for_the_message_that_asked() {
    let server = Server::start();
    let mut cache = cache(&[&server], false);
    cache.save("k", "one");
    let [first, second] = [(1, 7), (2, 7)].map(|(number, process)| Message { number, process });
    cache.set_message(first);
    server.commands();
    cache.ask(&["k"]);
    cache.set_message(second);
    assert_eq!(cache.look("k"), hit("one"));
    assert_eq!(server.commands(), ["get k", "get k"]);
    cache.set_message(first);
    assert_eq!(cache.look("k"), hit("one"));
    assert!(server.commands().is_empty());
}

#[test]
#[cfg_attr(miri, ignore = "uses sockets")]
fn what_this_process_writes_is_asked_anew() {
    let server = Server::start();
    for deferred in [false, true] {
        let mut cache = cache(&[&server], deferred);
        let key = cache.named("k");
        cache.save("k", "1");
        let writes: [fn(&mut Cache, &Key); 5] = [
            |cache, key| drop(cache.assign(key, Value::Integer(5))),
            |cache, key| drop(cache.touch(key, Value::Integer(1000))),
            |cache, key| drop(cache.count(Way::Up, key, Value::Integer(2))),
            |cache, key| drop(cache.delete(key)),
            |cache, _| drop(pools::empty(cache, 0)),
        ];
        let after = [hit("5"), hit("5"), hit("7"), miss(), miss()];
        for (write, after) in writes.into_iter().zip(after) {
            cache.ask(&["k"]);
            write(&mut cache, &key);
            assert_eq!(cache.look("k"), after);
        }
    }
}

/// Whatever is asked ahead, deferred and waited for, in whatever order, on two servers: every read tells
/// what was written last.
#[test]
#[cfg_attr(miri, ignore = "uses sockets")]
fn replies_belong_to_their_requests_in_any_order_of_operations() {
    let servers = [Server::start(), Server::start()];
    for seed in 0..30 {
        let mut random = Random::new(seed);
        let mut cache = cache(&servers.each_ref(), seed % 3 > 0);
        let mut stored: HashMap<String, String> = HashMap::new();
        pools::empty(&mut cache, 0).unwrap();
        for step in 0..150 {
            let name = format!(
                "{}{}",
                ["k", "long-name-of-a-key-"][random.index(2)],
                random.below(6)
            );
            let key = cache.named(&name);
            let known = |name: &str| stored.get(name).map_or_else(miss, |value| hit(value));
            match random.below(13) {
                0..3 => assert_eq!(cache.look(&name), known(&name), "seed {seed}, step {step}"),
                3..6 => {
                    let len = [0, 3, 300, 20_000][random.index(4)];
                    let value = format!("v{step}{}", "x".repeat(len));
                    let status = cache.save(&name, &value);
                    assert!(matches!(status, Status::Stored | Status::Sent), "{status}");
                    stored.insert(name, value);
                }
                6 => {
                    let status = cache.delete(&key).unwrap();
                    let is_known = stored.remove(&name).is_some();
                    let waited = [Status::Miss, Status::Deleted][usize::from(is_known)];
                    assert!([waited, Status::Sent].contains(&status), "{status}");
                }
                7 => {
                    let status = cache.touch(&key, Value::Integer(0)).unwrap();
                    let waited = [Status::Miss, Status::Touched];
                    let waited = waited[usize::from(stored.contains_key(&name))];
                    assert!([waited, Status::Sent].contains(&status), "{status}");
                }
                8 => cache.end_message(),
                9 => {
                    assert_eq!(pools::empty(&mut cache, 0).unwrap(), Status::Deleted);
                    stored.clear();
                }
                10 => {
                    let names: Vec<_> = (0..6).map(|at| format!("k{at}")).collect();
                    let keys: Vec<_> = names.iter().map(|name| cache.named(name)).collect();
                    let found = names.iter().filter(|name| stored.contains_key(*name));
                    assert_eq!(cache.get_many(&keys).unwrap(), Items(found.count()));
                }
                _ => cache.prefetch(&[key, cache.named("k1")]),
            }
        }
        for counter in ["errors", "timeouts", "lost", "retries"] {
            assert_eq!(cache.counted(counter), 0, "seed {seed}: {counter}");
        }
    }
}

#[test]
#[cfg_attr(miri, ignore = "uses sockets")]
fn a_deferred_write_does_not_wait() {
    let server = Server::start();
    let mut cache = cache(&[&server], true);
    assert_eq!(
        cache.save("k", "0"),
        Status::Stored,
        "there is no connection yet"
    );
    server.hold();
    for number in 0..64 {
        assert_eq!(cache.save("k", &number.to_string()), Status::Sent);
    }
    server.release();
    assert_eq!(cache.look("k"), hit("63"));
    let key = cache.named("k");
    assert_eq!(cache.touch(&key, Value::Integer(9)).unwrap(), Status::Sent);
    assert_eq!(cache.delete(&key).unwrap(), Status::Sent);
    assert_eq!(cache.look("k"), miss());
    assert_eq!(cache.save("k", &"x".repeat(20_000)), Status::Stored);
    let (deferred, sets) = (cache.counted("deferred"), cache.counted("sets"));
    assert_eq!((deferred, sets, cache.counted("lost")), (66, 66, 0));
    let waited = cache.waiting(|cache| cache.save("k", "0"));
    assert_eq!(waited, Status::Stored);
}

#[test]
#[cfg_attr(miri, ignore = "uses sockets")]
fn no_more_than_64_replies_are_owed() {
    let server = Server::start();
    let mut cache = with_limits(&[&server], true, 2000, 200);
    cache.save("k", "0");
    server.hold();
    for _ in 0..64 {
        assert_eq!(cache.save("k", "1"), Status::Sent);
    }
    assert_eq!(cache.save("k", "2"), Status::Timeout, "it has waited");
    assert_eq!(cache.counted("lost"), 64);
    server.release();
}

#[test]
#[cfg_attr(miri, ignore = "uses sockets")]
fn what_is_asked_for_messages_that_end_before_the_answer_is_bounded() {
    let server = Server::start();
    let mut cache = cache(&[&server], false);
    cache.save("k", "0");
    server.hold();
    for number in 0..200 {
        cache.ask(&[&format!("k{number}")]);
        cache.end_message();
    }
    assert_eq!(cache.counted("prefetched"), 64);
    server.release();
    assert_eq!(cache.look("k"), hit("0"));
}

#[test]
#[cfg_attr(miri, ignore = "uses sockets")]
fn a_deferred_write_that_is_refused_is_counted() {
    let server = Server::with(Options {
        item_size: 1024,
        ..Options::default()
    });
    let mut cache = cache(&[&server], true);
    cache.save("k", "0");
    assert_eq!(cache.save("long", &"x".repeat(2000)), Status::Sent);
    assert_eq!(cache.look("k"), hit("0"), "the connection stays in step");
    let counted = ["errors", "lost", "reconnects"].map(|name| cache.counted(name));
    assert_eq!(counted, [1, 0, 0]);
}

#[test]
#[cfg_attr(miri, ignore = "uses sockets")]
fn after_a_broken_connection_items_are_read_anew_and_writes_are_lost() {
    let server = Server::start();
    let mut cache = cache(&[&server], true);
    cache.save("k", "0");
    server.hold();
    assert_eq!(cache.save("k", "1"), Status::Sent);
    cache.ask(&["k", "other"]);
    assert_eq!(cache.save("k", "2"), Status::Sent);
    server.close();
    server.release();
    let (status, _) = cache.look("k");
    assert_eq!(status, Status::Hit, "the server lives");
    assert_eq!(cache.look("other"), miss());
    let counted = ["errors", "lost", "reconnects"].map(|name| cache.counted(name));
    assert_eq!(counted, [2, 2, 1]);
}

#[test]
#[cfg_attr(miri, ignore = "uses sockets")]
fn no_more_than_256_items_wait() {
    let server = Server::start();
    let mut cache = cache(&[&server], false);
    let names: Vec<_> = (0..300).map(|number| format!("k{number}")).collect();
    for name in &names[..290] {
        cache.save(name, name);
    }
    let keys: Vec<_> = names.iter().map(|name| cache.named(name)).collect();
    assert_eq!(cache.get_many(&keys).unwrap(), Items(290));
    server.commands();
    for name in &names[..290] {
        assert_eq!(cache.look(name), hit(name));
    }
    assert_eq!(server.commands().len(), 290 - 256);
    assert_eq!(cache.counted("prefetched"), 256);
}

#[test]
#[cfg_attr(miri, ignore = "uses sockets")]
fn items_that_were_asked_for_too_long_ago_leave_room_for_others() {
    let server = Server::start();
    let mut cache = cache(&[&server], false);
    let names: Vec<_> = (0..300).map(|number| format!("k{number}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    cache.ask(&names);
    assert_eq!(cache.counted("prefetched"), 256);
    cache.tune(Tunable::named(b"timeout").unwrap(), &[1]);
    cache.refresh();
    let end = Moment::now() + Duration::from_secs(60);
    while cache.counted("prefetched") == 256 && Moment::now() < end {
        cache.ask(&names[256..]);
    }
    assert_eq!(cache.counted("prefetched"), 300);
}

#[test]
#[cfg_attr(miri, ignore = "uses sockets")]
fn a_server_that_cannot_be_asked_fails_only_its_own_keys() {
    let (server, gone) = (Server::start(), "127.0.0.1:1");
    let mut parameters = Parameters::default();
    let list = format!("{},{gone}", server.address);
    parameters.set("servers", Given::Text(&list)).unwrap();
    let mut cache = Cache::new(parameters.settle(), Numbers::Bits64, Shared::private(1));
    let names: Vec<_> = (0..20).map(|number| format!("k{number}")).collect();
    let lives = |cache: &Cache, name: &&String| {
        let location = cache.pools()[0].locate(name.as_bytes()).unwrap();
        location.order[0].address.to_string() == server.address
    };
    let living: Vec<_> = names.iter().filter(|name| lives(&cache, name)).collect();
    for name in &living {
        assert_eq!(cache.save(name, name), Status::Stored);
    }
    let keys: Vec<_> = names.iter().map(|name| cache.named(name)).collect();
    assert_eq!(cache.get_many(&keys).unwrap(), Items(living.len()));
    let others = keys
        .iter()
        .zip(&names)
        .filter(|(_, name)| !lives(&cache, name));
    let others: Vec<_> = others.map(|(key, _)| *key).collect();
    let failed = cache.get_many(&others);
    assert_eq!(Status::of(&failed), Status::Down);
}
