//! kamailio-cfg/grow.cfg under load: a third server is added while eight callers call, and nobody asks the database
//! again.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use support::{Host, Kamailio, Memcached, Request, wait};

use super::examples::{folder, kamcmd, quoted};

/// Each user calls so often: first of all, then before the growth, twice after it, and once more when the old list
/// is given up.
const CALLS: usize = 5;

/// What the callers have seen.
struct Calls {
    users: usize,
    /// How many calls have begun. The users call in turn.
    begun: AtomicUsize,
    /// How often the database was asked, in each hundredth of all calls of a turn.
    asked: Vec<AtomicUsize>,
}

impl Calls {
    /// One call after the other, until each user has called so often.
    fn make(&self, kamailio: &Kamailio) {
        loop {
            let number = self.begun.fetch_add(1, Ordering::Relaxed);
            if number >= CALLS * self.users {
                return;
            }
            let user = number % self.users;
            let request = Request::new("INVITE").caller(&format!("user-{user}"));
            let reason = kamailio.sip(request).reason;
            let call = number / self.users + 1;
            if reason == format!("plan gold from the database, call {call}") {
                self.asked[number * 100 / self.users].fetch_add(1, Ordering::Relaxed);
            } else {
                let expected = format!("plan gold from the cache, call {call}");
                assert_eq!(reason, expected, "user {user}");
            }
        }
    }

    /// Waits until so many turns of all users have begun.
    fn wait(&self, turns: usize) {
        wait::until("these calls", Duration::from_secs(900), || {
            self.begun.load(Ordering::Relaxed) >= turns * self.users
        });
    }

    fn asked(&self, turns: std::ops::Range<usize>) -> Vec<usize> {
        let asked = self.asked[turns.start * 100..turns.end * 100].iter();
        asked.map(|it| it.load(Ordering::Relaxed)).collect()
    }
}

fn assert_grows_without_a_storm(users: usize) {
    let servers = [(); 3].map(|()| Memcached::start());
    let [a, b, c] = servers.each_ref().map(Memcached::address);
    let scratch = Host::current().scratch();
    let (two, three) = (format!("{a} a\n{b} b\n"), format!("{a} a\n{b} b\n{c} c\n"));
    let write = |name: &str, list: &str| {
        let path = scratch.write(name, list);
        Host::current().inside(&path).display().to_string()
    };
    let now = quoted(&write("now.list", &two));
    let before = write("before.list", &two);
    let kamailio = Kamailio::builder()
        .file(folder().join("grow.cfg"))
        .define("NOW", &now)
        .define(
            "BEFORE",
            &quoted(&format!("name=before;servers_file={before}")),
        )
        .start();
    let calls = Calls {
        users,
        begun: AtomicUsize::new(0),
        asked: (0..CALLS * 100).map(|_| AtomicUsize::new(0)).collect(),
    };
    let begun = Instant::now();
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| calls.make(&kamailio));
        }
        let reload = |pool| {
            let shown = kamcmd(&kamailio, &["memcached.reload", pool]);
            assert!(shown.contains("servers: 3"), "{shown}");
        };
        calls.wait(2);
        write("now.list", &three);
        reload("default");
        calls.wait(4);
        write("before.list", &three);
        reload("before");
    });
    assert_eq!(calls.asked(0..1), vec![users / 100; 100], "the first calls");
    let (before, after) = (calls.asked(1..2), calls.asked(2..CALLS));
    let worst = after.iter().max().expect("some");
    assert!(
        worst * 100 <= users / 100,
        "a hit rate below 99 %: {after:?}"
    );
    assert_eq!(
        after.iter().sum::<usize>(),
        before.iter().sum::<usize>(),
        "{after:?}"
    );
    let moved = servers[2].len();
    assert!(moved > users / 5, "{moved} of {users} plans and counters");
    let time = begun.elapsed();
    println!(
        "{users} users, {CALLS} calls each in {time:.1?}; {moved} of {} items moved",
        2 * users
    );
}

#[test]
fn five_thousand_items_move_under_load_and_nobody_asks_the_database() {
    assert_grows_without_a_storm(2500);
}

/// Takes some minutes.
#[test]
#[ignore = "slow: a part of `make endurance`"]
fn a_database_is_not_asked_while_items_of_100_000_users_move_under_load() {
    assert_grows_without_a_storm(100_000);
}
